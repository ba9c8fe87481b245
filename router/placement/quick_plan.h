#pragma once

// The planner for events: a join, a loss, a drain. It repeats the hottest experts, lays the repeated ones out as one
// connected replica graph (so that the split of each batch can even out all nodes), packs the others by longest
// processing time and evens the packing out by swaps. Some tenths of a millisecond per layer.

#include <cstdint>
#include <span>

#include "router/placement/layer_placement.h"

namespace atoll::router {

struct QuickPlanOptions {
  // Copies that every expert gets, in different failure domains as far as there are any, before load decides the rest;
  // fewer where the slots do not reach or there are fewer nodes.
  int32_t min_replicas = 1;
  // Where the graph cannot be joined: look at all parts to even one out, as long as that helps (some times slower).
  bool even_thoroughly = false;
};

// loads: [experts], 0 or more. Never two copies on a node, never more than a node's slots. RESOURCE_EXHAUSTED, with
// numbers, when the slots do not hold every expert once.
absl::StatusOr<LayerPlacement> PlanQuick(std::span<const double> loads, const LayerNodes& nodes, const QuickPlanOptions& options);

}  // namespace atoll::router
