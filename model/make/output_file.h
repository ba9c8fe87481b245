#pragma once

// A new file that is written front to back. Owned by one thread.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace atoll::model {

class OutputFile {
 public:
  // AlreadyExists when there is a file of that name.
  static absl::StatusOr<OutputFile> Create(const std::string& path);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  absl::Status Write(std::span<const std::byte> bytes);
  absl::Status Write(std::string_view text) { return Write(std::as_bytes(std::span(text.data(), text.size()))); }
  // Writing may report its failure only here.
  absl::Status Close();

 private:
  OutputFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

  std::string path_;
  int descriptor_ = -1;
};

}  // namespace atoll::model
