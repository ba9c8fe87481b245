#pragma once

// The least time that a step can take on this host: the sum over its ops of max(bytes / read bandwidth, operations / rate).

#include <cstdint>

#include "kernels/context.h"
#include "model/config.h"
#include "tests/bench/ceilings/ceilings.h"

namespace atoll::bench {

struct StepShape {
  int64_t rows = 0;
  int64_t sampled_rows = 0;      // whose logits are computed
  int64_t keys = 0;              // that a row attends to, on average
  int64_t distinct_experts = 0;  // that the rows of a layer choose together, on average
  bool absorbed = true;          // the form of attention
};

double RooflineSeconds(const model::ModelConfig& config, const StepShape& shape, const Ceilings& ceilings, kernels::Isa isa);

}  // namespace atoll::bench
