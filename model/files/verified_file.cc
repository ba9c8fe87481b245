#include "model/files/verified_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "model/files/refusal.h"

namespace atoll::model {
namespace {

// Closes at scope end.
struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  int Release() { return std::exchange(fd, -1); }
};

absl::Status SystemError(const std::string& what, const std::string& path) {
  const std::string text = absl::StrCat(what, " ", path, ": ", std::strerror(errno));
  return errno == ENOENT || errno == ENOTDIR ? absl::NotFoundError(text) : absl::InvalidArgumentError(text);
}

absl::StatusOr<std::string> RealPath(const std::string& path) {
  char* resolved = ::realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return SystemError("cannot open", path);
  std::string text(resolved);
  ::free(resolved);
  return text;
}

// What /proc says the descriptor refers to, links resolved.
absl::StatusOr<std::string> PathOfDescriptor(int fd) {
  std::vector<char> buffer(4096);
  const ssize_t length = ::readlink(absl::StrCat("/proc/self/fd/", fd).c_str(), buffer.data(), buffer.size());
  if (length < 0) return SystemError("cannot resolve", absl::StrCat("/proc/self/fd/", fd));
  return std::string(buffer.data(), static_cast<size_t>(length));
}

bool IsInside(const std::string& path, const std::string& root) {
  return path.size() > root.size() + 1 && path.compare(0, root.size(), root) == 0 &&
         (path[root.size()] == '/' || root == "/");
}

std::string ParentOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

// ROOT/blobs for a folder ROOT/snapshots/REVISION, else nothing.
std::string BlobsFolder(const std::string& real_dir) {
  const std::string parent = ParentOf(real_dir);
  const std::string suffix = "/snapshots";
  if (parent.size() <= suffix.size() || parent.compare(parent.size() - suffix.size(), suffix.size(), suffix) != 0)
    return "";
  return ParentOf(parent) + "/blobs";
}

absl::Status CheckName(std::string_view name) {
  const bool plain = !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
                     name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
  if (plain) return absl::OkStatus();
  return Refusal("expected the name of a file in the checkpoint's folder, found \"", std::string(name.substr(0, 300)),
                 "\"");
}

// The check is made on an O_PATH descriptor, which opens nothing yet, and the same inode is then opened through it: no
// path is looked up twice.
absl::StatusOr<int> OpenChecked(const std::string& dir, const std::string& path) {
  Descriptor handle{::open(path.c_str(), O_PATH | O_CLOEXEC)};
  if (handle.fd < 0) return SystemError("cannot open", path);
  struct stat info;
  if (::fstat(handle.fd, &info) != 0) return SystemError("cannot stat", path);
  if (!S_ISREG(info.st_mode))
    return Refusal(path, ": expected a regular file, found another kind (folder, FIFO, socket or device)");
  ATOLL_ASSIGN_OR_RETURN(const std::string target, PathOfDescriptor(handle.fd));
  ATOLL_ASSIGN_OR_RETURN(const std::string root, RealPath(dir));
  const std::string blobs = BlobsFolder(root);
  if (!IsInside(target, root) && (blobs.empty() || !IsInside(target, blobs))) {
    return Refusal(path, ": the link leads out of the checkpoint's folder, to ", target);
  }
  const int fd = ::open(absl::StrCat("/proc/self/fd/", handle.fd).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return SystemError("cannot read", path);
  return fd;
}

}  // namespace

absl::StatusOr<VerifiedFile> VerifiedFile::Open(const std::string& dir, std::string_view name) {
  ATOLL_RETURN_IF_ERROR(CheckName(name));
  const std::string path = absl::StrCat(dir, "/", std::string(name));
  ATOLL_ASSIGN_OR_RETURN(const int descriptor, OpenChecked(dir, path));
  VerifiedFile file(path, descriptor);
  struct stat info;
  if (::fstat(descriptor, &info) != 0) return SystemError("cannot stat", path);
  file.size_ = static_cast<uint64_t>(info.st_size);
  file.modified_ = info.st_mtim;
  return file;
}

bool VerifiedFile::Exists(const std::string& dir, std::string_view name) {
  struct stat info;
  return ::lstat(absl::StrCat(dir, "/", std::string(name)).c_str(), &info) == 0;
}

VerifiedFile::VerifiedFile(VerifiedFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_),
      modified_(other.modified_) {}

VerifiedFile& VerifiedFile::operator=(VerifiedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  std::swap(modified_, other.modified_);
  return *this;
}

VerifiedFile::~VerifiedFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

absl::Status VerifiedFile::CheckUnchanged() const {
  struct stat info;
  if (::fstat(descriptor_, &info) != 0) return SystemError("cannot stat", path_);
  const bool same = static_cast<uint64_t>(info.st_size) == size_ && info.st_mtim.tv_sec == modified_.tv_sec &&
                    info.st_mtim.tv_nsec == modified_.tv_nsec;
  if (same) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(path_, ": the file was changed while in use (", size_,
                                          " bytes when opened, now ", info.st_size, "): restore it and restart"));
}

absl::Status VerifiedFile::Read(uint64_t offset, std::span<std::byte> out) const {
  if (offset > size_ || out.size() > size_ - offset) {
    return Refusal(path_, ": expected ", out.size(), " bytes at ", offset, ", the file has ", size_);
  }
  for (size_t done = 0; done < out.size();) {
    const size_t wanted = std::min(out.size() - done, size_t{1} << 30);
    const ssize_t got = ::pread(descriptor_, out.data() + done, wanted, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return absl::DataLossError(
          absl::StrCat("cannot read ", path_, " at ", offset + done, ": ", std::strerror(errno)));
    if (got == 0)
      return absl::DataLossError(absl::StrCat(path_, ": the file became shorter while in use: expected ", size_,
                                              " bytes, found ", offset + done));
    done += static_cast<size_t>(got);
  }
  return CheckUnchanged();
}

void VerifiedFile::DropPages(uint64_t offset, uint64_t bytes) const {
  ::posix_fadvise(descriptor_, static_cast<off_t>(offset), static_cast<off_t>(bytes), POSIX_FADV_DONTNEED);
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& dir, std::string_view name, uint64_t bytes_max) {
  ATOLL_ASSIGN_OR_RETURN(const VerifiedFile file, VerifiedFile::Open(dir, name));
  if (file.size() > bytes_max) {
    return absl::ResourceExhaustedError(
        absl::StrCat(file.path(), " has ", file.size(), " bytes, at most ", bytes_max, " are read"));
  }
  std::string text(file.size(), '\0');
  ATOLL_RETURN_IF_ERROR(file.Read(0, std::as_writable_bytes(std::span(text.data(), text.size()))));
  return text;
}

}  // namespace atoll::model
