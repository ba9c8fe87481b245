#include "model/tokenizer/folder_tokenizer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>
#include <utility>

namespace atoll::model {
namespace {

namespace fs = std::filesystem;

constexpr size_t kFileBytesMax = size_t{64} << 20;

absl::Status CannotRead(const fs::path& path, std::string_view reason) {
  return absl::InvalidArgumentError(absl::StrCat(path.string(), ": ", std::string(reason)));
}

absl::StatusOr<std::string> ReadOpenFile(int file, const fs::path& path) {
  std::string text;
  char buffer[65536];
  while (true) {
    const ssize_t got = read(file, buffer, sizeof(buffer));
    if (got == 0) return text;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return CannotRead(path, std::strerror(errno));
    if (text.size() + static_cast<size_t>(got) > kFileBytesMax) return CannotRead(path, "expected at most 64 MiB");
    text.append(buffer, static_cast<size_t>(got));
  }
}

// nullopt where there is no such file. Only regular files: a pipe under that name must not hold up the start.
absl::StatusOr<std::optional<std::string>> ReadFileIfThere(const fs::path& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0 && errno == ENOENT) return std::optional<std::string>();
  if (file < 0) return CannotRead(path, std::strerror(errno));
  struct stat found;
  absl::StatusOr<std::string> text = fstat(file, &found) == 0 && S_ISREG(found.st_mode)
                                         ? ReadOpenFile(file, path)
                                         : CannotRead(path, "expected a regular file");
  close(file);
  if (!text.ok()) return text.status();
  return std::optional(*std::move(text));
}

struct OtherFiles {
  bool tiktoken = false;
  bool sentencepiece = false;
};

absl::StatusOr<OtherFiles> FindOtherFiles(const fs::path& directory) {
  OtherFiles found;
  std::error_code error;
  fs::directory_iterator entries(directory, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const fs::path name = entries->path().filename();
    found.tiktoken |= name == "tiktoken.model" || name.extension() == ".tiktoken";
    found.sentencepiece |= name == "tokenizer.model";
  }
  if (error) return CannotRead(directory, error.message());
  return found;
}

// The reason why the folder is served by token ids alone, or a refusal.
absl::StatusOr<std::string> WhyIdsAlone(const fs::path& directory, bool has_config) {
  ATOLL_ASSIGN_OR_RETURN(const OtherFiles others, FindOtherFiles(directory));
  if (others.tiktoken) {
    return absl::StrCat(directory.string(), " has a tiktoken file but no tokenizer.json: it is served by token ids alone");
  }
  if (has_config || others.sentencepiece) {
    return absl::FailedPreconditionError(absl::StrCat(
        directory.string(), ": ", has_config ? "tokenizer_config.json" : "tokenizer.model",
        " without a tokenizer.json or a tiktoken file: add tokenizer.json, or remove it to serve the model by token ids alone"));
  }
  return absl::StrCat(directory.string(), " has no tokenizer file: it is served by token ids alone");
}

absl::StatusOr<TokenizerConfig> ReadConfig(const fs::path& directory, const std::optional<std::string>& config_json) {
  TokenizerConfig config;
  if (config_json) {
    ATOLL_ASSIGN_OR_RETURN(config, ParseTokenizerConfig(*config_json));
  }
  // Newer checkpoints keep the template in a file of its own, which then counts.
  ATOLL_ASSIGN_OR_RETURN(std::optional<std::string> chat_template, ReadFileIfThere(directory / "chat_template.jinja"));
  if (chat_template) config.chat_template = std::move(chat_template);
  return config;
}

absl::Status WithFolder(const fs::path& directory, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(directory.string(), "/", status.message()));
}

}  // namespace

absl::StatusOr<FolderTokenizer> FolderTokenizer::Load(const fs::path& directory, const TokenizerLimits& limits) {
  ATOLL_ASSIGN_OR_RETURN(const std::optional<std::string> tokenizer_json, ReadFileIfThere(directory / "tokenizer.json"));
  ATOLL_ASSIGN_OR_RETURN(const std::optional<std::string> config_json, ReadFileIfThere(directory / "tokenizer_config.json"));
  if (!tokenizer_json) {
    ATOLL_ASSIGN_OR_RETURN(std::string why, WhyIdsAlone(directory, config_json.has_value()));
    return FolderTokenizer(nullptr, std::move(why));
  }
  absl::StatusOr<TokenizerConfig> config = ReadConfig(directory, config_json);
  if (!config.ok()) return WithFolder(directory, config.status());
  auto tokenizer = Tokenizer::FromJson(*tokenizer_json, *std::move(config), limits);
  if (!tokenizer.ok()) return WithFolder(directory, tokenizer.status());
  return FolderTokenizer(*std::move(tokenizer), {});
}

absl::StatusOr<const Tokenizer*> FolderTokenizer::ForText() const {
  if (tokenizer_ == nullptr) return absl::FailedPreconditionError(why_ids_alone_);
  return tokenizer_.get();
}

}  // namespace atoll::model
