#pragma once

#include <array>
#include <cstdint>

namespace atoll::kernels {

// How the panels and rows of several matrices become the blocks of one ParallelFor. Inside of linear and grouped_experts; lives
// on the stack of one call.
class BlockPlan {
 public:
  static constexpr int64_t kTasksMax = 512;

  struct Block {
    int64_t task = 0;
    int64_t panel = 0;
    int64_t row0 = 0;
    int64_t rows = 0;   // 1 to kPanelRowsMax
  };

  explicit BlockPlan(int threads) : threads_(threads) {}

  // Announces all tasks' panels first: how finely rows are cut depends on the blocks that there are anyway.
  void CountPanels(int64_t rows, int64_t panels) { panels_ += rows > 0 ? panels : 0; }
  void Add(int64_t rows, int64_t panels);

  int64_t blocks() const { return blocks_; }
  // Blocks of a panel follow each other, so that its weights are still in the cache.
  Block At(int64_t block) const;

 private:
  struct Task {
    int64_t first_block, rows, tiles;
  };
  int64_t Tiles(int64_t rows) const;

  int threads_;
  int64_t panels_ = 0, blocks_ = 0, tasks_ = 0;
  std::array<Task, kTasksMax> task_;
};

}  // namespace atoll::kernels
