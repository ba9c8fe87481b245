#include "kernels/rope/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

namespace atoll::kernels {

namespace {

constexpr int64_t kPositionsMax = int64_t{1} << 18;   // SinCos is good to 2^18 radians, and the first frequency is 1
constexpr int64_t kDimMax = 1024;

double Mscale(double factor, double mscale) { return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0; }

// The (fractional) index of the pair that turns `rotations` times within the original context.
double CorrectionIndex(const RopeParams& params, double rotations) {
  const double periods = params.yarn_params.original_positions / (rotations * 2 * std::numbers::pi);
  return static_cast<double>(params.dim) * std::log(periods) / (2 * std::log(params.theta));
}

float Magnitude(const RopeParams& params) {
  if (!params.yarn) return 1.0f;
  const YarnParams& yarn = params.yarn_params;
  if (yarn.mscale_all_dim == 0) return static_cast<float>(Mscale(yarn.factor, 1));
  if (yarn.mscale == 0) return static_cast<float>(Mscale(yarn.factor, 1));
  return static_cast<float>(Mscale(yarn.factor, yarn.mscale) / Mscale(yarn.factor, yarn.mscale_all_dim));
}

bool Positive(double value) { return std::isfinite(value) && value > 0; }

KernelError Check(const RopeParams& params) {
  if (params.dim < 2 || params.dim % 2 != 0 || params.dim > kDimMax) {
    return InvalidShape("the rotary dimension is " + std::to_string(params.dim) + ", expected an even number from 2 to " +
                        std::to_string(kDimMax));
  }
  if (params.positions_max < 1 || params.positions_max > kPositionsMax) {
    return InvalidShape("the number of positions is " + std::to_string(params.positions_max) + ", expected 1 to " +
                        std::to_string(kPositionsMax));
  }
  if (!Positive(params.theta) || params.theta == 1) return InvalidValue("rope_theta is " + std::to_string(params.theta) + ", expected a positive number other than 1");
  if (!params.yarn) return {};
  const YarnParams& yarn = params.yarn_params;
  if (!Positive(yarn.factor) || !Positive(yarn.original_positions) || !Positive(yarn.beta_fast) || !Positive(yarn.beta_slow)) {
    return InvalidValue("rope_scaling's factor, original_max_position_embeddings, beta_fast and beta_slow must be positive numbers");
  }
  if (!std::isfinite(yarn.mscale) || !std::isfinite(yarn.mscale_all_dim)) {
    return InvalidValue("rope_scaling's mscale and mscale_all_dim must be finite numbers");
  }
  return {};
}

}  // namespace

std::vector<double> RopeFrequencies(const RopeParams& params) {
  const int64_t pairs = params.dim / 2;
  std::vector<double> frequencies(pairs);
  for (int64_t i = 0; i < pairs; ++i) {
    frequencies[i] = std::pow(params.theta, -2.0 * static_cast<double>(i) / static_cast<double>(params.dim));
  }
  if (!params.yarn) return frequencies;
  const YarnParams& yarn = params.yarn_params;
  const double low = std::max(std::floor(CorrectionIndex(params, yarn.beta_fast)), 0.0);
  double high = std::min(std::ceil(CorrectionIndex(params, yarn.beta_slow)), static_cast<double>(params.dim - 1));
  if (low == high) high += 0.001;
  for (int64_t i = 0; i < pairs; ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    frequencies[i] = frequencies[i] / yarn.factor * ramp + frequencies[i] * (1 - ramp);
  }
  return frequencies;
}

KernelError RopeTable::Make(const RopeParams& params, RopeTable* table) {
  ATOLL_RETURN_IF_KERNEL_ERROR(Check(params));
  const std::vector<double> exact = RopeFrequencies(params);
  table->params_ = params;
  table->frequencies_.assign(exact.begin(), exact.end());
  table->magnitude_ = Magnitude(params);
  return {};
}

float SoftmaxScale(int64_t query_dim, const RopeParams& params) {
  const double plain = 1.0 / std::sqrt(static_cast<double>(query_dim));
  if (!params.yarn || params.yarn_params.mscale_all_dim == 0) return static_cast<float>(plain);
  const double m = Mscale(params.yarn_params.factor, params.yarn_params.mscale_all_dim);
  return static_cast<float>(plain * m * m);
}

}  // namespace atoll::kernels
