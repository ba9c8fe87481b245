#pragma once

// The slow outer loop of the shares (lossless): DeepSeek's sign rule on the replicas of an expert.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

namespace atoll::router {

// A level this near to the mean, relative to it, counts as even: without that the rule never rests, and its ripple costs
// half a point of imbalance on a load that stays as it is.
inline constexpr double kReplicaBiasDeadBand = 0.02;

// b <- b + gamma x sign(mean - level), where `levels` are those of the replicas' nodes and `mean` that of all nodes; each b
// stays in [-limit, limit]. All spans: [replicas of one expert], or [nodes].
inline void StepReplicaBias(std::span<const double> levels, double mean, double gamma, double limit, std::span<double> bias) {
  for (size_t i = 0; i < bias.size(); ++i) {
    const double above = levels[i] - mean;
    const double sign = std::abs(above) <= kReplicaBiasDeadBand * mean ? 0 : above < 0 ? 1 : -1;
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

// Factor on the rows that a dispatcher, which splits its own exactly, assumes of `others` together at a node of this bias. A
// node that was busier than thought is assumed fuller, so that less is sent there (the other way round the loop drives itself
// off), and every dispatcher mends its own part only.
inline double AssumedRowsFactor(double bias, int32_t others) { return others < 1 ? 1 : std::exp(-bias / others); }

}  // namespace atoll::router
