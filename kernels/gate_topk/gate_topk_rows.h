#pragma once

#include <cstdint>

#include "kernels/gate_topk/gate_scores.h"
#include "kernels/gate_topk/gate_topk.h"

namespace atoll::kernels {

inline constexpr int64_t kGateExpertsMax = 2048;

// What gate_topk.h asks of the shapes, on any processor.
KernelError CheckGateTopK(const GateTopKArgs& args);

// One row. `delta`, `scores` and `biased` may be null.
struct GateRow {
  const float* logits = nullptr;    // [experts]
  const float* bias = nullptr;      // [experts]
  const float* delta = nullptr;     // [experts] or null
  int64_t count = 0;                // experts
  int32_t* experts = nullptr;       // out [experts_per_token]
  float* weights = nullptr;         // out [experts_per_token]
  float* scores = nullptr;          // out [experts] or null
  float* biased = nullptr;          // out [experts] or null
};

// The whole row in plain loops. False where a logit is not finite; the outputs are then untouched.
bool GateRowReference(const GateParams& params, const GateRow& row);

// The rest of the row from its scores; overwrites `biased`.
void SelectExperts(const GateParams& params, const float* scores, float* biased, const GateRow& row);

// The weights of the chosen experts from their scores, in slot order.
void GateWeights(const GateParams& params, const float* scores, const GateRow& row);

}  // namespace atoll::kernels
