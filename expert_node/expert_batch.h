#pragma once

// The pairs of some parts, all of one layer, in the order in which the kernels take them: by expert, within an expert in
// the order of parts and pairs. Pure; storage is reused.

#include <cstdint>
#include <span>
#include <vector>

#include "expert_node/dispatch_part.h"

namespace atoll::expert_node {

struct ExpertRange {
  int32_t expert = 0;
  int32_t first_pair = 0;
  int32_t pair_count = 0;
};

class ExpertBatch {
 public:
  ExpertBatch(int32_t pairs_max, int32_t experts);

  // Groups the pairs of `parts`, at most pairs_max of them in all.
  void Build(const PartStore& store, std::span<const int32_t> parts);

  std::span<const ExpertRange> ranges() const { return ranges_; }
  // Pair p of the batch reads row pair_row()[p] of PartStore::rows().
  std::span<const int32_t> pair_row() const { return pair_row_; }
  // Where pair i of the parts, counted through in their own order, went: its row of the output.
  std::span<const int32_t> result_row() const { return result_row_; }
  int32_t pair_count() const { return static_cast<int32_t>(pair_row_.size()); }

 private:
  std::vector<int32_t> next_;  // [experts] where an expert's next pair goes
  std::vector<ExpertRange> ranges_;
  std::vector<int32_t> pair_row_;
  std::vector<int32_t> result_row_;
};

}  // namespace atoll::expert_node
