#pragma once

// A strict reader of small-vocabulary JSON (safetensors headers, shard indexes) that never allocates from a claimed
// size, notices duplicate keys and bounds depth. Positions in messages are byte offsets. Used by one thread.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace atoll::model {

class JsonReader {
 public:
  // `text` must outlive the reader.
  explicit JsonReader(std::string_view text) : text_(text) {}

  // Skips white space, then takes `c` if it comes next.
  bool TryTake(char c);
  absl::Status Take(char c);
  // A string, unescaped; invalid UTF-8 and lone surrogates are refused.
  absl::StatusOr<std::string> TakeString();
  // A whole number from 0 to 2^53 without fraction or exponent.
  absl::StatusOr<uint64_t> TakeUnsigned();
  // An object: `member` is called at each value with its key and must take the value. Duplicate keys are refused.
  using Member = std::function<absl::Status(const std::string& key)>;
  absl::Status TakeObject(const Member& member);
  // Any value nested at most `depth_max` deep.
  absl::Status SkipValue(int depth_max);
  // Only white space is left.
  absl::Status TakeEnd();

  size_t position() const { return position_; }

 private:
  void SkipSpace();
  absl::Status Wrong(std::string_view expected) const;
  absl::Status TakeEscape(std::string& out);
  absl::StatusOr<uint32_t> TakeHex4();
  absl::Status SkipArray(int depth_max);
  absl::Status SkipScalar();

  std::string_view text_;
  size_t position_ = 0;
};

bool IsValidUtf8(std::string_view text);

// OK when `text` is one JSON value, at most `bytes_max` long and `depth_max` deep, without duplicate keys.
absl::Status CheckJsonText(std::string_view text, size_t bytes_max, int depth_max);

}  // namespace atoll::model
