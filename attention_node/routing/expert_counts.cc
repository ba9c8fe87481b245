#include "attention_node/routing/expert_counts.h"

#include <algorithm>
#include <utility>

namespace atoll::attention_node {

ExpertCounts::ExpertCounts(const model::ModelConfig& config)
    : layers_(config.layers_total()), experts_(config.gate.n_routed_experts), counts_(layers_ * 2 * experts_) {}

std::atomic<uint64_t>& ExpertCounts::At(int32_t layer, PositionClass position_class, int64_t expert) {
  return counts_[(layer * 2 + static_cast<int64_t>(position_class)) * experts_ + expert];
}

void ExpertCounts::Add(int32_t layer, PositionClass position_class, std::span<const int32_t> experts) {
  for (const int32_t expert : experts) At(layer, position_class, expert).fetch_add(1, std::memory_order_relaxed);
}

std::vector<LayerExpertCounts> ExpertCounts::Take() {
  std::vector<LayerExpertCounts> taken;
  for (int32_t layer = 0; layer < layers_; ++layer) {
    LayerExpertCounts counts{layer, {}, {}};
    uint64_t sum = 0;
    for (int64_t expert = 0; expert < experts_; ++expert) {
      counts.prompt.push_back(At(layer, PositionClass::kPrompt, expert).exchange(0, std::memory_order_relaxed));
      counts.generated.push_back(At(layer, PositionClass::kGenerated, expert).exchange(0, std::memory_order_relaxed));
      sum += counts.prompt.back() + counts.generated.back();
    }
    if (sum > 0) taken.push_back(std::move(counts));
  }
  return taken;
}

}  // namespace atoll::attention_node
