#pragma once

// Sixteen sampled batches of one layer side by side, one in each lane of a vector, so that a search judges a placement on
// all of them for little more than the price of one.

#include <cstdint>
#include <span>
#include <vector>

#include "router/placement/batch_noise.h"

namespace atoll::router {

inline constexpr int kLanes = 16;

struct alignas(64) Lanes {
  float at[kLanes] = {};
};

struct LaneBatches {
  std::vector<Lanes> loads;  // [experts]; each lane scaled so that the mean over nodes of equal speed would be 1
};

// Every lane a batch drawn with `noise`. nodes_speed: sum of the nodes' speeds.
LaneBatches DrawLanes(std::span<const double> loads, double nodes_speed, const BatchNoise& noise, SeededRandom& random);

// Lanes from batches that were seen: at most kLanes of them, repeated in turn where there are fewer.
LaneBatches LanesOfBatches(std::span<const std::vector<double>> batches, double nodes_speed);

}  // namespace atoll::router
