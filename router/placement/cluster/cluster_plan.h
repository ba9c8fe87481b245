#pragma once

// Placement of all layers on the expert nodes that are there: from scratch (quick or full), or by mending what is there
// after a join, a loss, a drain or a drift. Pure: time comes in as `stop`.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/placement.h"
#include "router/placement/cluster/migration_order.h"
#include "router/placement/layer_placement.h"

namespace atoll::router {

struct ClusterNode {
  std::string node_id;
  double speed = 1;           // above 0; ratios count
  uint64_t memory_bytes = 0;  // for replicas
  std::string host, zone;     // failure domain: the zone where zones differ, otherwise the host, otherwise the node
  bool draining = false;      // gets nothing, keeps nothing
};

struct ClusterLoads {
  // [layers][experts], absolute layers as in model::Placement; a layer without any load is placed as if it were even.
  std::vector<std::vector<double>> expected;
  // The last few batches of each layer, [layers][batches][experts]; may be empty. What mending is judged by.
  std::vector<std::vector<std::vector<double>>> batches;
};

struct ClusterPlanOptions {
  int64_t expert_bytes = 1;
  int32_t min_replicas = 2;  // where memory allows
  bool full = false;         // search, instead of the quick plan
  int64_t max_bytes = 0;     // of drift repair per call; 0: none (coverage is always repaired)
  uint64_t seed = 1;
  std::function<bool()> stop = {};  // asked now and then; true: what is left stays with the quick plan, or as it is
};

struct ClusterPlan {
  model::Placement placement;         // epoch one above the present one; shares follow the expected loads
  std::vector<MigrationStep> steps;   // in order
  int64_t bytes = 0;                  // that the steps load
  double balance_mean = 1, balance_worst = 1;  // mean / highest level over layers, under the exact split of the expected loads
  int64_t uncovered_by_one_loss = 0;  // most experts that the loss of one failure domain would leave without a replica
  std::vector<model::ExpertId> lost;  // had no live replica when this was planned; they are loaded first
};

// `shape`: layers, experts and epoch of the table, and what the nodes hold now by node id. Nodes that are not in `nodes`
// are gone. RESOURCE_EXHAUSTED with numbers when memory does not hold every expert once; INVALID_ARGUMENT for loads of
// another shape.
absl::StatusOr<ClusterPlan> PlanCluster(const model::Placement& shape, const std::vector<ClusterNode>& nodes, const ClusterLoads& loads,
                                        const ClusterPlanOptions& options);

// Keeps every replica that is on a node that stays: first every expert without a live replica gets one, then free memory
// takes second copies and copies of the hottest, then drift is repaired within max_bytes. Falls back to PlanCluster when
// memory is too scattered for that.
absl::StatusOr<ClusterPlan> MendCluster(const model::Placement& present, const std::vector<ClusterNode>& nodes, const ClusterLoads& loads,
                                        const ClusterPlanOptions& options);

}  // namespace atoll::router
