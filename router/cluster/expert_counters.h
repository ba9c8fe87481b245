#pragma once

// Rows per (layer, expert) and position class, summed over attention nodes. Thread-compatible.

#include <cstdint>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/placement.h"
#include "router/cluster/node.h"

namespace atoll::router {

struct LayerBalance {
  int32_t layer = 0;
  double imbalance = 1;  // busiest expert node's rows over the mean
};

// Busiest expert node's rows over the mean under `placement`, each expert's rows split by its replicas' shares; 1 where
// there are none.
double ImbalanceOf(const LayerCounts& counts, const model::Placement& placement);

class ExpertCounters {
 public:
  // `shape`: an empty placement of the model.
  explicit ExpertCounters(const model::Placement& shape);

  // INVALID_ARGUMENT, and nothing added, where a layer has no experts or a list another length than the layer's experts
  // (an empty list is all zeros).
  absl::Status Add(const std::vector<LayerCounts>& counts);

  // Layers with traffic.
  std::vector<LayerCounts> Sums() const;
  // Of layers with traffic.
  std::vector<LayerBalance> Balance(const model::Placement& placement) const;

 private:
  absl::Status Check(const LayerCounts& counts) const;

  const int64_t experts_;
  std::vector<bool> layer_has_experts_;
  std::vector<LayerCounts> sums_;  // [layers]
};

}  // namespace atoll::router
