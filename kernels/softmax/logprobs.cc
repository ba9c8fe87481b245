#include "kernels/softmax/logprobs.h"

#include <string>

#include "kernels/cpu/row_blocks.h"
#include "kernels/expect.h"
#include "kernels/math/lanes_scalar.h"
// After the lanes that it is written over.
#include "kernels/math/float_functions.h"
#include "kernels/softmax/row_sums.h"

namespace atoll::kernels {

const RowSums& RowSumsOf(Isa isa) {
  switch (isa) {
    case Isa::kReference: return kRowSumsReference;
    case Isa::kAvx2: return kRowSumsAvx2;
    case Isa::kAvx512:
    case Isa::kAvx512Bf16: return kRowSumsAvx512;
  }
  return kRowSumsReference;
}

KernelError LogNormalizers(const Context& context, ConstMatrixView logits, std::span<LogNormalizer> out) {
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("LogNormalizers' logits", logits, Dtypes::kF32, logits.rows, logits.cols));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectTrue(logits.cols >= 1, "LogNormalizers: the vocabulary is empty"));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectSize("LogNormalizers' out", out.size(), logits.rows));
  const RowSums& sums = RowSumsOf(context.isa);
  ForRows(context, logits.rows, logits.cols * 4, [&](int64_t row) {
    LogNormalizer& n = out[row];
    const float* x = logits.RowAs<float>(row);
    n.max = sums.max(x, logits.cols, &n.finite);
    n.log_sum = n.finite ? Log(sums.sum_exp(x, logits.cols, n.max)) : 0.0f;
  });
  return {};
}

KernelError TopLogprobs(std::span<const float> logits, const LogNormalizer& normalizer, std::span<TokenLogprob> out) {
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectTrue(out.size() <= logits.size(), "TopLogprobs: more tokens wanted than the vocabulary has"));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectTrue(normalizer.finite, "TopLogprobs: the row holds a logit that is not finite"));
  size_t count = 0;   // logprob holds the logit until the end
  for (size_t token = 0; token < logits.size() && !out.empty(); ++token) {
    const float logit = logits[token];
    if (count == out.size() && !(logit > out[count - 1].logprob)) continue;
    size_t at = count < out.size() ? count++ : count - 1;
    for (; at > 0 && logit > out[at - 1].logprob; --at) out[at] = out[at - 1];
    out[at] = {static_cast<int32_t>(token), logit};
  }
  for (TokenLogprob& top : out) top.logprob = normalizer.Logprob(top.logprob);
  return {};
}

}  // namespace atoll::kernels
