#pragma once

// The best that any split of a layer's rows over given replicas can do, exactly (a maximum flow), and the best that any
// placement could do. For judging; what serves is attention_node/replica_choice.

#include <cstdint>
#include <span>
#include <vector>

#include "router/placement/layer_placement.h"

namespace atoll::router {

// Owns its workspace, so that many batches of one placement cost no allocation. One thread at a time.
class ExactSplit {
 public:
  // Every expert has a replica.
  ExactSplit(const LayerPlacement& placement, const LayerNodes& nodes);

  // The least level (rows / speed) that the fullest node can have. loads: [experts], 0 or more.
  double LeastLevel(std::span<const double> loads);
  // After LeastLevel: rows of every replica in one split that reaches it, in the order of LayerPlacement::host.
  std::span<const double> rows() const { return rows_; }

 private:
  void Start(std::span<const double> loads);
  void Sweep(int32_t expert, double load);
  bool Reach();
  double Push(int32_t expert, double amount);
  void Augment();
  double LevelOfTightestSet() const;

  const LayerPlacement placement_;
  const std::vector<double> speed_;
  std::vector<int32_t> shared_;                // experts with more than one replica
  std::vector<std::vector<int32_t>> held_;     // [nodes]: replicas of shared experts there
  std::vector<int32_t> expert_of_;             // [replicas]
  std::vector<double> rows_;                   // [replicas]
  std::vector<double> load_, unsent_;          // [experts]
  std::vector<double> fixed_, room_, sum_;     // [nodes]
  std::vector<int32_t> expert_depth_, node_depth_, expert_next_, node_next_, queue_;
  double level_ = 0, least_step_ = 0;
};

// Best over all placements: every expert's pieces of at most one node's level, and all nodes equally full. Equal speeds.
double LeastLevelOfAnyPlacement(std::span<const double> loads, int32_t nodes, int64_t slots);

// highest / mean - 1: 0 is perfect. `level` of the fullest node, loads and speeds of all.
double Imbalance(double level, std::span<const double> loads, double speed_total);

}  // namespace atoll::router
