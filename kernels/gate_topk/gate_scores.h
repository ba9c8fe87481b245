#pragma once

#include <cstdint>

namespace atoll::kernels {

// scores = sigmoid(logits), biased = scores + bias, [experts] each. False where a logit is not finite.
bool GateScoresAvx2(const float* logits, const float* bias, int64_t experts, float* scores, float* biased);
bool GateScoresAvx512(const float* logits, const float* bias, int64_t experts, float* scores, float* biased);

}  // namespace atoll::kernels
