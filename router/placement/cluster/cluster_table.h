#pragma once

// What planning from scratch and mending share: nodes as the planners see them, and the finished plan.

#include "router/placement/cluster/cluster_plan.h"

namespace atoll::router {

struct ClusterTable {
  std::vector<ClusterNode> nodes;                          // draining ones left out
  std::vector<int64_t> slots;                              // [nodes], all layers together
  std::vector<int32_t> domain;                             // [nodes]
  std::vector<std::vector<model::ExpertId>> held;          // [nodes], now, sorted
  int64_t moe_layers = 0;

  LayerNodes Layer(std::vector<int32_t> layer_slots) const;
};

// Checks shapes and whether memory holds every expert once.
absl::StatusOr<ClusterTable> MakeClusterTable(const model::Placement& present, const std::vector<ClusterNode>& nodes, const ClusterLoads& loads,
                                              const ClusterPlanOptions& options);
// Loads to plan with: the expected ones, all 1 where there are none.
std::vector<double> LoadsOfLayer(const ClusterLoads& loads, int64_t layer, int64_t experts);
// layers: [layers] of the present table's shape, empty ones in layers without experts.
absl::StatusOr<ClusterPlan> FinishPlan(const model::Placement& present, const ClusterTable& table, const std::vector<LayerPlacement>& layers,
                                       const ClusterLoads& loads, const ClusterPlanOptions& options);

}  // namespace atoll::router
