#pragma once

// The planner for the schedule: takes a placement (the quick one, or what is there) and searches for a better one against
// batches as they may come. Single thread, interruptible at any time with the best plan so far.

#include <cstdint>
#include <functional>
#include <span>

#include "router/placement/layer_placement.h"

namespace atoll::router {

struct FullPlanOptions {
  int32_t min_replicas = 1;
  int64_t batch_rows = 32768;  // tokens x experts per token of the batches that are to come
  double sigma = 0.15;         // of an expert's popularity from batch to batch
  int64_t candidates = 4000;   // changes looked at: 10 to 150 ms at 256 experts
  uint64_t seed = 1;
  std::function<bool()> stop = {};  // asked now and then; true ends the search
};

// As PlanQuick; never worse than it on the sampled batches. Same inputs and seed, same plan (unless stopped).
absl::StatusOr<LayerPlacement> PlanFull(std::span<const double> loads, const LayerNodes& nodes, const FullPlanOptions& options);

}  // namespace atoll::router
