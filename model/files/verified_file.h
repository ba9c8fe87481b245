#pragma once

// Files of a checkpoint folder, opened once and checked by descriptor: regular, inside the folder, unchanged since.

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace atoll::model {

// Owns a descriptor. Movable; const methods are thread-safe.
class VerifiedFile {
 public:
  // `name` is one path component. Follows a symlink only to a file inside `dir` or, where dir is
  // ROOT/snapshots/REVISION, inside ROOT/blobs; anything but a regular file is refused, and a FIFO is never waited for.
  static absl::StatusOr<VerifiedFile> Open(const std::string& dir, std::string_view name);

  // Whether the folder has an entry of that name, of whatever kind.
  static bool Exists(const std::string& dir, std::string_view name);

  VerifiedFile(VerifiedFile&& other) noexcept;
  VerifiedFile& operator=(VerifiedFile&& other) noexcept;
  ~VerifiedFile();

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }

  // Fills `out` from `offset`. DataLoss when the file became shorter or was written to since Open.
  absl::Status Read(uint64_t offset, std::span<std::byte> out) const;
  // Tells the kernel that these bytes will not be read again from the page cache.
  void DropPages(uint64_t offset, uint64_t bytes) const;

 private:
  VerifiedFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  absl::Status CheckUnchanged() const;

  std::string path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
  timespec modified_ = {};
};

// The whole of a small file; ResourceExhausted above `bytes_max`.
absl::StatusOr<std::string> ReadSmallFile(const std::string& dir, std::string_view name, uint64_t bytes_max);

}  // namespace atoll::model
