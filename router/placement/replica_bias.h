#pragma once

// The slow outer loop of the shares (lossless): DeepSeek's sign rule on the replicas of an expert.

#include <algorithm>
#include <cmath>
#include <span>

namespace atoll::router {

// b <- b + gamma x sign(mean - level) for each replica, where `levels` are its nodes' levels and `mean` that of all
// nodes; each b stays in [-limit, limit]. All spans: [replicas of one expert].
inline void StepReplicaBias(std::span<const double> levels, double mean, double gamma, double limit, std::span<double> bias) {
  for (size_t i = 0; i < bias.size(); ++i) {
    const double sign = levels[i] < mean ? 1 : levels[i] > mean ? -1 : 0;
    bias[i] = std::clamp(bias[i] + gamma * sign, -limit, limit);
  }
}

// shares x exp(bias), scaled to add up to 1 again: with a bias of 0 everywhere they stay as they are.
inline void ApplyReplicaBias(std::span<const double> bias, std::span<double> shares) {
  double sum = 0;
  for (size_t i = 0; i < shares.size(); ++i) sum += shares[i] *= std::exp(bias[i]);
  if (sum > 0)
    for (double& share : shares) share /= sum;
}

}  // namespace atoll::router
