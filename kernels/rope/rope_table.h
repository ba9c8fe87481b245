#pragma once

// Frequencies of the rotary position embedding, with YaRN (spec 3.4).

#include <cstdint>
#include <vector>

#include "kernels/kernel_error.h"

namespace atoll::kernels {

// rope_scaling of type "yarn".
struct YarnParams {
  double factor = 1;
  double original_positions = 4096;   // original_max_position_embeddings
  double beta_fast = 32;
  double beta_slow = 1;
  double mscale = 0;                  // 0: absent
  double mscale_all_dim = 0;          // 0: absent
};

struct RopeParams {
  double theta = 10000;
  int64_t dim = 64;                   // dr, the rotary width; even
  int64_t positions_max = 0;          // positions are 0 .. positions_max - 1; at most 2^18
  bool interleaved = true;            // pairs (2i, 2i + 1); false: pairs (i, i + dim / 2)
  bool yarn = false;
  YarnParams yarn_params;
};

// Immutable after Make; thread-safe.
class RopeTable {
 public:
  // Refuses odd or unbounded dimensions, non-finite or non-positive parameters.
  static KernelError Make(const RopeParams& params, RopeTable* table);

  const RopeParams& params() const { return params_; }
  // [dim / 2]: formed in float64, rounded to float32 once. The angle of a position is float(position) * frequency in float32.
  const std::vector<float>& frequencies() const { return frequencies_; }
  // Multiplies cos and sin.
  float magnitude() const { return magnitude_; }

 private:
  RopeParams params_;
  std::vector<float> frequencies_;
  float magnitude_ = 1;
};

// (dn + dr)^-0.5 * m^2 with m = 0.1 * mscale_all_dim * ln(factor) + 1 where YaRN is on and mscale_all_dim is not 0, else m = 1.
float SoftmaxScale(int64_t query_dim, const RopeParams& params);

// The float64 frequencies before rounding (spec 3.4's check values).
std::vector<double> RopeFrequencies(const RopeParams& params);

}  // namespace atoll::kernels
