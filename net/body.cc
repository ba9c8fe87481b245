#include "net/body.h"

#include <algorithm>

namespace atoll::net {
namespace {

absl::Status LengthError(const char* body, size_t found, uint64_t expected) {
  return absl::InvalidArgumentError(absl::StrCat(body, " payload: ", found, " bytes, expected ", expected));
}

// How many rows and pairs one part may have.
struct PartBounds {
  uint64_t row_bytes, part_bytes, rows_max, pairs_max;

  explicit PartBounds(const FrameLimits& limits)
      : row_bytes(WireRowBytes(limits.row_dtype, limits.hidden_size)),
        part_bytes(limits.part_bytes),
        rows_max(limits.rows_max),
        pairs_max(std::min<uint64_t>(limits.pairs_max, limits.part_bytes / WireRowBytes(limits.result_dtype, limits.hidden_size))) {}

  bool Fits(uint64_t rows, uint64_t pairs) const {
    return rows <= rows_max && pairs <= pairs_max && rows * row_bytes + pairs * kPairBytes <= part_bytes;
  }
  uint64_t PairsOfOneRow() const { return std::min(pairs_max, (part_bytes - row_bytes) / kPairBytes); }
};

}  // namespace

absl::StatusOr<DispatchBody> DispatchBody::Parse(const FrameHeader& header, std::span<const std::byte> payload,
                                                 const FrameLimits& limits) {
  DispatchBody body;
  body.payload_ = payload;
  body.row_bytes_ = WireRowBytes(limits.row_dtype, limits.hidden_size);
  body.row_count_ = header.row_count;
  body.pair_count_ = header.pair_count;
  const uint64_t expected = uint64_t{header.row_count} * body.row_bytes_ + uint64_t{header.pair_count} * kPairBytes;
  if (payload.size() != expected) return LengthError("dispatch", payload.size(), expected);
  for (uint32_t i = 0; i < header.pair_count; ++i) {
    const Pair pair = body.PairAt(i);
    if (pair.row >= header.row_count || pair.expert >= limits.experts) {
      return absl::InvalidArgumentError(absl::StrCat("dispatch pair ", i, " is (row ", pair.row, ", expert ", pair.expert, "), expected below (",
                                                     header.row_count, ", ", limits.experts, ")"));
    }
  }
  return body;
}

absl::StatusOr<ResultBody> ResultBody::Parse(const FrameHeader& header, std::span<const std::byte> payload, const FrameLimits& limits) {
  ResultBody body;
  body.payload_ = payload;
  body.row_bytes_ = WireRowBytes(limits.result_dtype, limits.hidden_size);
  body.pair_count_ = header.code == 0 ? header.pair_count : 0;
  const uint64_t expected = uint64_t{body.pair_count_} * body.row_bytes_;
  if (payload.size() != expected) return LengthError("result", payload.size(), expected);
  return body;
}

absl::Status SplitIntoParts(std::span<const uint32_t> pairs_per_row, const FrameLimits& limits, std::vector<PartRange>& parts) {
  const PartBounds bounds(limits);
  parts.clear();
  PartRange part;
  const auto flush = [&] {
    if (part.pair_count > 0) parts.push_back(part);
    part = {part.first_row + part.row_count, 0, part.first_pair + part.pair_count, 0};
  };
  for (uint32_t row = 0; row < pairs_per_row.size(); ++row) {
    uint64_t pairs = pairs_per_row[row];
    if (!bounds.Fits(uint64_t{part.row_count} + 1, part.pair_count + pairs)) flush();
    for (const uint64_t most = bounds.PairsOfOneRow(); pairs > most; pairs -= most) {
      part.row_count = 1;
      part.pair_count = static_cast<uint32_t>(most);
      flush();
      part.first_row = row;
    }
    part.row_count += 1;
    part.pair_count += static_cast<uint32_t>(pairs);
  }
  flush();
  if (parts.size() > 65535) return absl::InvalidArgumentError(absl::StrCat("dispatch: ", parts.size(), " parts, expected at most 65535"));
  return absl::OkStatus();
}

}  // namespace atoll::net
