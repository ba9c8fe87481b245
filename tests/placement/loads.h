#pragma once

// Loads as they are in life: a few hot experts, many cold ones, none idle.

#include <cmath>
#include <cstdint>
#include <vector>

#include "router/placement/seeded_random.h"

namespace atoll::router {

inline std::vector<double> SkewedLoads(int32_t experts, uint64_t seed) {
  SeededRandom random(seed);
  std::vector<double> loads(experts);
  for (double& load : loads) load = 1e5 * std::exp(0.8 * random.Gaussian());
  return loads;
}

}  // namespace atoll::router
