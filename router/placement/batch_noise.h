#pragma once

// Batches as they may come when the expected loads are known: what planners search against and what a simulation serves.

#include <cstdint>
#include <span>
#include <vector>

#include "router/placement/seeded_random.h"

namespace atoll::router {

struct BatchNoise {
  int64_t rows = 0;    // tokens x experts per token
  double sigma = 0.15; // of the logarithm of each expert's popularity in one batch
};

// Multinomial counts over loads x exp(sigma x Gaussian): [experts] whole numbers that add up to `rows`. Loads are 0 or
// more and not all 0.
std::vector<double> DrawBatch(std::span<const double> loads, const BatchNoise& noise, SeededRandom& random);

// Multinomial counts over `weights` as they are.
std::vector<double> DrawCounts(std::span<const double> weights, int64_t rows, SeededRandom& random);

}  // namespace atoll::router
