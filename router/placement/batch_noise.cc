#include "router/placement/batch_noise.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace atoll::router {
namespace {

// Binomial(n, p). Inversion while the count is small; a rounded Gaussian where the variance is large enough that nobody
// sees the difference.
int64_t DrawBinomial(int64_t n, double p, SeededRandom& random) {
  if (n <= 0 || p <= 0) return 0;
  if (p >= 1) return n;
  if (p > 0.5) return n - DrawBinomial(n, 1 - p, random);
  const double mean = static_cast<double>(n) * p, variance = mean * (1 - p);
  if (variance > 30) {
    const double drawn = std::nearbyint(mean + std::sqrt(variance) * random.Gaussian());
    return static_cast<int64_t>(std::clamp(drawn, 0.0, static_cast<double>(n)));
  }
  double term = std::exp(static_cast<double>(n) * std::log1p(-p)), left = random.Uniform();
  int64_t k = 0;
  for (; left > term && k < n; ++k) {
    left -= term;
    term *= static_cast<double>(n - k) / static_cast<double>(k + 1) * p / (1 - p);
  }
  return k;
}

}  // namespace

std::vector<double> DrawCounts(std::span<const double> weights, int64_t rows, SeededRandom& random) {
  double rest = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<double> counts(weights.size(), 0);
  for (size_t e = 0; e < weights.size() && rows > 0; ++e) {
    const int64_t drawn = DrawBinomial(rows, rest > 0 ? weights[e] / rest : 0, random);
    counts[e] = static_cast<double>(drawn);
    rows -= drawn;
    rest -= weights[e];
  }
  // What rounding of `rest` may have left goes to the heaviest.
  if (rows > 0) counts[std::max_element(weights.begin(), weights.end()) - weights.begin()] += static_cast<double>(rows);
  return counts;
}

std::vector<double> DrawBatch(std::span<const double> loads, const BatchNoise& noise, SeededRandom& random) {
  std::vector<double> weights(loads.begin(), loads.end());
  for (double& weight : weights) weight *= std::exp(noise.sigma * random.Gaussian());
  return DrawCounts(weights, noise.rows, random);
}

}  // namespace atoll::router
