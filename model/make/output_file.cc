#include "model/make/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace atoll::model {
namespace {

absl::Status WriteError(const std::string& path) {
  const std::string text = absl::StrCat("cannot write ", path, ": ", std::strerror(errno));
  if (errno == EEXIST) return absl::AlreadyExistsError(text);
  return errno == ENOSPC || errno == EDQUOT ? absl::ResourceExhaustedError(text) : absl::UnavailableError(text);
}

}  // namespace

absl::StatusOr<OutputFile> OutputFile::Create(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (descriptor < 0) return WriteError(path);
  return OutputFile(path, descriptor);
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

absl::Status OutputFile::Write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return WriteError(path_);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status OutputFile::Close() {
  return ::close(std::exchange(descriptor_, -1)) == 0 ? absl::OkStatus() : WriteError(path_);
}

}  // namespace atoll::model
