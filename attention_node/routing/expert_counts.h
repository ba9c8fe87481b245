#pragma once

// Rows routed to each (layer, expert), by position class: what the balancer knows about the traffic. The step thread adds,
// the heartbeat takes; thread-safe.

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "attention_node/batching/position_class.h"
#include "model/config.h"

namespace atoll::attention_node {

struct LayerExpertCounts {
  int32_t layer = 0;
  std::vector<uint64_t> prompt;     // [experts]
  std::vector<uint64_t> generated;
};

class ExpertCounts {
 public:
  explicit ExpertCounts(const model::ModelConfig& config);

  void Add(int32_t layer, PositionClass position_class, std::span<const int32_t> experts);
  // Counts since the last call; layers without traffic are left out.
  std::vector<LayerExpertCounts> Take();

 private:
  std::atomic<uint64_t>& At(int32_t layer, PositionClass position_class, int64_t expert);

  int64_t layers_;
  int64_t experts_;
  std::vector<std::atomic<uint64_t>> counts_;  // [layers, classes, experts]
};

}  // namespace atoll::attention_node
