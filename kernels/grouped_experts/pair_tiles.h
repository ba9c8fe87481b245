#pragma once

// The pairs of all groups cut into tiles that no two groups share, for kernels.

#include "kernels/cuda/operand_access.h"
#include "kernels/grouped_experts/grouped_experts_cuda.h"
#include "kernels/linear/dot_rows.h"

namespace atoll::kernels {
namespace {

struct PairTile {
  const DeviceExpertGroup* group;   // null: there is no such tile
  int64_t first_pair;
  int64_t rows;
};

// Tile `tile` of all groups' pairs, kRows at most in each.
template <int kRows>
ATOLL_DEVICE PairTile FindTile(const GroupedExpertsParams& params, int64_t tile) {
  for (int64_t i = 0; i < params.group_count; ++i) {
    const DeviceExpertGroup& group = params.groups[i];
    const int64_t tiles = (group.pair_count + kRows - 1) / kRows;
    if (tile < tiles) return {&group, group.first_pair + tile * kRows, min(int64_t{kRows}, group.pair_count - tile * kRows)};
    tile -= tiles;
  }
  return {nullptr, 0, 0};
}

ATOLL_DEVICE DotRows RowsOfX(const GroupedExpertsParams& params, const PairTile& tile) {
  return {.x = params.x, .named = params.pair_row ? params.pair_row.address() + tile.first_pair : nullptr, .first_row = tile.first_pair, .rows = tile.rows};
}
ATOLL_DEVICE DotRows RowsOfProducts(const GroupedExpertsParams& params, const PairTile& tile) {
  return {.x = params.products, .first_row = tile.first_pair, .rows = tile.rows};
}

}  // namespace
}  // namespace atoll::kernels
