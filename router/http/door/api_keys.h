#pragma once

// The keys that clients may come with. Only their digests are kept.

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace atoll::router::http {

// Immutable; any thread may call it. Without keys everybody may come.
class ApiKeys {
 public:
  // One key a line; empty lines and lines that begin with # are skipped; "sha256:HEX" is the digest of a key.
  // INVALID_ARGUMENT names the file and line, and never repeats a key.
  static absl::StatusOr<ApiKeys> Load(const std::string& file);
  static absl::StatusOr<ApiKeys> Parse(std::string_view text, const std::string& file);

  bool empty() const { return digests_.empty(); }
  // Of an Authorization header. The time it takes depends on the header's length and the number of keys alone.
  bool Allows(std::string_view authorization) const;

 private:
  using Digest = std::array<unsigned char, 32>;
  std::vector<Digest> digests_;
};

}  // namespace atoll::router::http
