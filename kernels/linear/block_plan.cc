#include "kernels/linear/block_plan.h"

#include <algorithm>

#include "base/check.h"
#include "kernels/linear/panel.h"

namespace atoll::kernels {
namespace {

constexpr int64_t kBlocksPerThread = 4;   // fewer, and rows are cut too, so that no thread waits long for the last block
constexpr int64_t kRowsMin = 24;          // of such a cut: below it decoding the weights again costs more than it gains

int64_t CeilDiv(int64_t value, int64_t unit) { return (value + unit - 1) / unit; }

}  // namespace

int64_t BlockPlan::Tiles(int64_t rows) const {
  const int64_t needed = CeilDiv(rows, kPanelRowsMax);
  if (threads_ == 1 || panels_ == 0) return needed;
  return std::max(needed, std::min(CeilDiv(threads_ * kBlocksPerThread, panels_), rows / kRowsMin));
}

void BlockPlan::Add(int64_t rows, int64_t panels) {
  ATOLL_CHECK(tasks_ < kTasksMax, "more tasks than a block plan holds");
  task_[tasks_++] = {blocks_, rows, Tiles(rows)};
  blocks_ += panels * task_[tasks_ - 1].tiles;
}

BlockPlan::Block BlockPlan::At(int64_t block) const {
  // The last task that begins at or before the block; tasks without blocks share their beginning with the next.
  const auto after = std::upper_bound(task_.begin(), task_.begin() + tasks_, block,
                                      [](int64_t b, const Task& task) { return b < task.first_block; });
  const Task& task = *(after - 1);
  const int64_t panel = (block - task.first_block) / task.tiles, tile = (block - task.first_block) % task.tiles;
  const int64_t row0 = task.rows * tile / task.tiles;
  return {after - 1 - task_.begin(), panel, row0, task.rows * (tile + 1) / task.tiles - row0};
}

}  // namespace atoll::kernels
