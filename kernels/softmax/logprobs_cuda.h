#pragma once

// Log-probabilities on a device (logprobs.h). All addresses lie in device memory.
//
// Numerics, per row: m and the logprobs as in logprobs.h; thread t of 1,024 adds Exp(logit_i - m) of tokens t, t + 1024, ..., ascending, and the
// threads' sums are added as BlockSum says.

#include "kernels/cuda/operand.h"
#include "kernels/cuda/runtime.h"
#include "kernels/softmax/logprobs.h"

namespace atoll::kernels {

KernelError LogNormalizers(DeviceStream& stream, ConstMatrixView logits, std::span<LogNormalizer> out);

// The tokens_per_row most probable tokens of each row, best first, equal logits: the lower id first; out [rows, tokens_per_row]. At most
// kTopLogprobsMax; a row that is not finite gets token -1.
inline constexpr int64_t kTopLogprobsMax = 64;
KernelError TopLogprobs(DeviceStream& stream, ConstMatrixView logits, std::span<const LogNormalizer> normalizers, int64_t tokens_per_row,
                        std::span<TokenLogprob> out);

struct LogprobParams {
  DeviceOperand logits = {};
  int64_t vocabulary = 0;
  DevicePtr<LogNormalizer> normalizers = {};
  int64_t tokens_per_row = 0;
  DevicePtr<TokenLogprob> tokens = {};
};
ATOLL_DECLARE_KERNEL(LogNormalizerRows, 1024, LogprobParams);
ATOLL_DECLARE_KERNEL(TopLogprobRows, 1024, LogprobParams);

}  // namespace atoll::kernels
