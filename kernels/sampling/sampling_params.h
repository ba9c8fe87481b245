#pragma once

#include <cstdint>
#include <vector>

#include "kernels/kernel_error.h"

namespace atoll::kernels {

struct LogitBias {
  int32_t token = 0;
  float bias = 0;
};

// How a sequence's tokens are chosen. Defaults: plain sampling from the model's distribution.
struct SamplingParams {
  float temperature = 1;            // 0 (anything below 1e-5): the most probable token
  int32_t top_k = 0;                // 0: off
  float top_p = 1;                  // 1: off
  float min_p = 0;                  // 0: off
  float presence_penalty = 0;
  float frequency_penalty = 0;
  float repetition_penalty = 1;
  std::vector<LogitBias> logit_bias = {};
  uint64_t seed = 0;

  bool Greedy() const { return temperature < 1e-5f; }
  bool HasPenalties() const { return presence_penalty != 0 || frequency_penalty != 0 || repetition_penalty != 1; }
};

// Refuses what Sample cannot work with (non-finite or out-of-range fields, bias on tokens outside the vocabulary), by name.
KernelError CheckSamplingParams(const SamplingParams& params, int64_t vocabulary);

}  // namespace atoll::kernels
