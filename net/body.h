#pragma once

// The payloads of dispatch and result frames, as views that copy nothing.
//   dispatch: row_count rows [hidden] in the session's row dtype, then pair_count pairs (row of this part, expert)
//   result:   one row [hidden] in the result dtype per pair of the dispatch part, in pair order
// A payload has no alignment: rows are copied out with memcpy, pairs are loaded bytewise.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "net/little_endian.h"
#include "net/wire_format.h"

namespace atoll::net {

struct Pair {
  uint16_t row = 0;     // of the part
  uint16_t expert = 0;  // id within the layer
  friend bool operator==(const Pair&, const Pair&) = default;
};
static_assert(sizeof(Pair) == kPairBytes);

class DispatchBody {
 public:
  // `header` comes from DecodeHeader with the same limits. InvalidArgument when a pair names a row or expert that is not there.
  static absl::StatusOr<DispatchBody> Parse(const FrameHeader& header, std::span<const std::byte> payload, const FrameLimits& limits);

  uint32_t row_count() const { return row_count_; }
  uint32_t pair_count() const { return pair_count_; }
  size_t row_bytes() const { return row_bytes_; }
  std::span<const std::byte> Row(uint32_t row) const { return payload_.subspan(row * row_bytes_, row_bytes_); }
  Pair PairAt(uint32_t pair) const {
    const std::byte* from = payload_.data() + row_count_ * row_bytes_ + pair * kPairBytes;
    return {LoadLittle<uint16_t>(from), LoadLittle<uint16_t>(from + 2)};
  }

 private:
  std::span<const std::byte> payload_;
  size_t row_bytes_ = 0;
  uint32_t row_count_ = 0;
  uint32_t pair_count_ = 0;
};

class ResultBody {
 public:
  static absl::StatusOr<ResultBody> Parse(const FrameHeader& header, std::span<const std::byte> payload, const FrameLimits& limits);

  uint32_t pair_count() const { return pair_count_; }  // zero when the header's code is not OK
  size_t row_bytes() const { return row_bytes_; }
  std::span<const std::byte> Row(uint32_t pair) const { return payload_.subspan(pair * row_bytes_, row_bytes_); }

 private:
  std::span<const std::byte> payload_;
  size_t row_bytes_ = 0;
  uint32_t pair_count_ = 0;
};

// The pairs as a payload piece for Link::Send.
inline std::span<const std::byte> PairBytes(std::span<const Pair> pairs) { return std::as_bytes(pairs); }

// One part of a dispatch: its rows and pairs in the dispatch's own order. A part's pairs name rows relative to first_row.
struct PartRange {
  uint32_t first_row = 0, row_count = 0;
  uint32_t first_pair = 0, pair_count = 0;
  friend bool operator==(const PartRange&, const PartRange&) = default;
};

// Cuts a dispatch (pairs ordered by row, row r having pairs_per_row[r] >= 1 of them) into parts, each within the limits
// and so small that its result is one frame too. Only a row whose own results exceed a part is sent more than once.
// `parts` is overwritten. InvalidArgument over 65,535 parts.
absl::Status SplitIntoParts(std::span<const uint32_t> pairs_per_row, const FrameLimits& limits, std::vector<PartRange>& parts);

}  // namespace atoll::net
