#include "expert_node/dispatch_part.h"

#include <algorithm>
#include <cstring>

namespace atoll::expert_node {
namespace {

int64_t RowsPerPart(const net::FrameLimits& limits) {
  return std::min<int64_t>(limits.rows_max, limits.part_bytes / net::WireRowBytes(limits.row_dtype, limits.hidden_size));
}

}  // namespace

PartStore::PartStore(int32_t parts, const net::FrameLimits& limits)
    : part_rows_(RowsPerPart(limits)),
      memory_(static_cast<size_t>(parts * part_rows_) * net::WireRowBytes(limits.row_dtype, limits.hidden_size)),
      rows_{memory_.data(), limits.row_dtype, parts * part_rows_, limits.hidden_size, limits.hidden_size},
      parts_(parts) {
  const size_t pairs_max = std::min<size_t>(limits.pairs_max, limits.part_bytes / net::WireRowBytes(limits.result_dtype, limits.hidden_size));
  for (int32_t part = parts - 1; part >= 0; --part) {
    parts_[part].first_row = static_cast<int32_t>(part * part_rows_);
    parts_[part].pairs.reserve(pairs_max);
    free_.push_back(part);
  }
}

int32_t PartStore::Take(const net::DispatchBody& body) {
  if (free_.empty() || body.row_count() > part_rows_) return -1;
  const int32_t index = free_.back();
  free_.pop_back();
  DispatchPart& part = parts_[index];
  for (uint32_t row = 0; row < body.row_count(); ++row) {
    const auto from = body.Row(row);
    std::memcpy(rows_.Row(part.first_row + row), from.data(), from.size());
  }
  part.pairs.clear();
  for (uint32_t pair = 0; pair < body.pair_count(); ++pair) part.pairs.push_back(body.PairAt(pair));
  return index;
}

}  // namespace atoll::expert_node
