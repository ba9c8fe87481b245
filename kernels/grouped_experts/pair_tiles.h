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

// Tile `tile` of all groups' pairs, kRows at most in each. Every warp looks for itself, 32 groups at a time.
template <int kRows>
ATOLL_DEVICE PairTile FindTile(const GroupedExpertsParams& params, int64_t tile) {
  constexpr unsigned kAll = 0xFFFFFFFFu;
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  for (int64_t first = 0; first < params.group_count; first += kWarpLanes) {
    const int64_t pairs = first + lane < params.group_count ? params.groups[first + lane].pair_count : 0;
    const int64_t tiles = (pairs + kRows - 1) / kRows;
    int64_t through = tiles;   // of the groups up to this lane's
    for (int offset = 1; offset < kWarpLanes; offset *= 2) {
      const int64_t before = __shfl_up_sync(kAll, through, offset);
      if (lane >= offset) through += before;
    }
    const unsigned beyond = __ballot_sync(kAll, through > tile);
    if (beyond != 0) {
      const int found = __ffs(static_cast<int>(beyond)) - 1;
      const DeviceExpertGroup& group = params.groups[first + found];
      const int64_t inside = tile - __shfl_sync(kAll, through - tiles, found);
      return {&group, group.first_pair + inside * kRows, min(int64_t{kRows}, group.pair_count - inside * kRows)};
    }
    tile -= __shfl_sync(kAll, through, kWarpLanes - 1);
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
