#pragma once

// Incremental repair: a placement that loads have drifted away from is mended with few replicas loaded, instead of being
// planned anew. (EPLB, re-solved, loads 70 to 89 % of all slots again.)

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "router/placement/layer_placement.h"

namespace atoll::router {

struct RepairOptions {
  int32_t min_replicas = 1;
  int32_t loads_max = 10;       // replicas that may be loaded
  double score_enough = 1.006;  // mean over batches of the fullest node's level at which nothing more is done
  double gain_min = 2.4e-3;      // of that score, for each replica loaded
  int32_t draws = 600;          // changes looked at for each that is made
  double sigma = 0.15;          // added to copies of the batches, so that the repair is not for just these
  uint64_t seed = 1;
  std::function<bool()> stop = {};
};

struct Repair {
  LayerPlacement placement;
  int32_t loads = 0;  // replicas that are new on their nodes
};

// batches: the last few, [experts] each, at least one. The placement is sound for the nodes.
Repair RepairLayer(const LayerPlacement& placement, std::span<const std::vector<double>> batches, const LayerNodes& nodes,
                   const RepairOptions& options);

// Replicas of `after` that `before` does not have on the same node. Both of the same nodes and experts.
int32_t ReplicasToLoad(const LayerPlacement& before, const LayerPlacement& after);

}  // namespace atoll::router
