#pragma once

// EPLB as DeepSeek published it: the baseline that every figure stands beside. It repeats the hottest experts, packs the
// copies by longest processing time, and splits an expert's rows evenly over its copies. It may put two copies of one
// expert on one GPU, which is a wasted slot; that is part of the baseline.

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "router/placement/layer_placement.h"

namespace atoll::router {

struct EplbShape {
  int32_t replicas = 0;
  int32_t groups = 1;   // of experts
  int32_t servers = 1;  // each with gpus / servers GPUs
  int32_t gpus = 1;
};

// One layer. Slot s lies on GPU s / (replicas / gpus).
struct EplbLayer {
  std::vector<int32_t> physical_to_logical;  // [replicas]
  std::vector<int32_t> copies;               // [experts]
};

// Hierarchical where `groups` is a multiple of `servers`, otherwise global. INVALID_ARGUMENT for a shape that does not
// divide evenly, for fewer replicas than experts and for loads that are negative or not finite.
absl::StatusOr<EplbLayer> PlanEplb(std::span<const float> loads, const EplbShape& shape);

// The level of each GPU ([gpus]) under EPLB's even split.
std::vector<double> EplbLevels(const EplbLayer& layer, std::span<const double> loads, int32_t gpus);

// The same placement without what is doubled on a GPU.
LayerPlacement PlacementOfEplb(const EplbLayer& layer, int32_t gpus);

}  // namespace atoll::router
