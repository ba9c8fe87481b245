#include "expert_node/expert_batch.h"

#include <algorithm>

namespace atoll::expert_node {

ExpertBatch::ExpertBatch(int32_t pairs_max, int32_t experts) : next_(experts) {
  ranges_.reserve(std::min(pairs_max, experts));
  pair_row_.reserve(pairs_max);
  result_row_.reserve(pairs_max);
}

void ExpertBatch::Build(const PartStore& store, std::span<const int32_t> parts) {
  std::fill(next_.begin(), next_.end(), 0);
  int32_t pairs = 0;
  for (int32_t part : parts) {
    for (const net::Pair& pair : store.At(part).pairs) ++next_[pair.expert];
    pairs += static_cast<int32_t>(store.At(part).pairs.size());
  }
  ranges_.clear();
  int32_t first = 0;
  for (int32_t expert = 0; expert < static_cast<int32_t>(next_.size()); ++expert) {
    const int32_t count = next_[expert];
    if (count > 0) ranges_.push_back({expert, first, count});
    next_[expert] = first;
    first += count;
  }
  pair_row_.resize(pairs);
  result_row_.clear();
  for (int32_t part : parts) {
    for (const net::Pair& pair : store.At(part).pairs) {
      const int32_t place = next_[pair.expert]++;
      pair_row_[place] = store.At(part).first_row + pair.row;
      result_row_.push_back(place);
    }
  }
}

}  // namespace atoll::expert_node
