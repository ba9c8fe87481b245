#pragma once

// Log-probabilities of the raw distribution softmax(logits).
//
// Numerics, per row: m = max logit; sum of Exp(logit_i - m) in 16 lanes (token i in lane i % 16), ascending, then the tree of rms_norm.h;
// log_sum = Log(sum); logprob_i = (logit_i - m) - log_sum. Every path gives the same bits.

#include <cstdint>
#include <span>

#include "base/matrix_view.h"
#include "kernels/context.h"
#include "kernels/kernel_error.h"

namespace atoll::kernels {

struct LogNormalizer {
  float max = 0;
  float log_sum = 0;
  bool finite = false;   // false: the row holds a logit that is not finite; the other two mean nothing

  float Logprob(float logit) const { return (logit - max) - log_sum; }
};

// logits: float32 [rows, vocabulary], vocabulary at least 1; out: [rows].
KernelError LogNormalizers(const Context& context, ConstMatrixView logits, std::span<LogNormalizer> out);

struct TokenLogprob {
  int32_t token = 0;
  float logprob = 0;
  friend bool operator==(const TokenLogprob&, const TokenLogprob&) = default;
};

// The out.size() most probable tokens of one row (at most its length), best first; equal logits: the lower id first.
KernelError TopLogprobs(std::span<const float> logits, const LogNormalizer& normalizer, std::span<TokenLogprob> out);

}  // namespace atoll::kernels
