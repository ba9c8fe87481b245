#pragma once

#include <cstdint>

#include "kernels/isa.h"
#include "kernels/sampling/noise_key.h"

namespace atoll::kernels {

// A noise is never above this.
inline constexpr float kNoiseMax = 22.9f;

// Passes of sampler.h over one row. Denormals must be flushed by the caller.
struct SamplerRows {
  // x = x / temperature - max.
  void (*scale)(float* x, int64_t count, float temperature, float max);
  // d = d >= cut ? d : -infinity.
  void (*drop_below)(float* d, int64_t count, float cut);
  // e = Exp(d).
  void (*exps)(const float* d, int64_t count, float* e);
  // The ids of all d >= cut, ascending, at most `count`; returns how many.
  int64_t (*gather)(const float* d, int64_t count, float cut, int32_t* ids);
  // The id with the largest d + noise, the lowest of equals; `best`: the id of the largest d.
  int32_t (*gumbel_max)(const float* d, int64_t count, const NoiseKey& key, int32_t best);
};

extern const SamplerRows kSamplerReference;
extern const SamplerRows kSamplerAvx2;
extern const SamplerRows kSamplerAvx512;

}  // namespace atoll::kernels
