#pragma once

// Which tokens of a row may be chosen: the steps of sampler.h before the noise. Internal to kernels/sampling/.

#include <cstdint>
#include <span>

#include "kernels/sampling/sampler.h"
#include "kernels/sampling/sampler_rows.h"

namespace atoll::kernels {

// Bias, masks and penalties, in place. Ids must lie within the row.
void AdjustLogits(const SamplingRow& row, std::span<float> logits);

// Room for one row's filters, [vocabulary] each.
struct FilterSpace {
  float* exps = nullptr;
  int32_t* ids = nullptr;
};

// min-p, top-k and top-p: what they drop becomes -infinity. `d` are scaled logits less their maximum.
void FilterTokens(const SamplerRows& rows, const SamplingParams& params, std::span<float> d, const FilterSpace& space);

}  // namespace atoll::kernels
