#include "kernels/cuda/device_code.h"
#include "kernels/softmax/logprobs_cuda.h"
#include "kernels/softmax/row_device.h"

namespace atoll::kernels {

ATOLL_KERNEL(LogNormalizerRows, LogprobParams) {
  const float* const x = reinterpret_cast<const float*>(RowOf(params.logits, blockIdx.x));
  const bool finite = AllFinite(x, params.vocabulary);
  const float largest = LargestOfRow(x, params.vocabulary).value;
  float sum = 0;
  for (int64_t i = threadIdx.x; i < params.vocabulary; i += blockDim.x) sum += Exp(x[i] - largest);
  sum = BlockSum(sum);
  if (threadIdx.x != 0) return;
  LogNormalizer& normalizer = params.normalizers[blockIdx.x];
  normalizer.max = largest;
  normalizer.log_sum = finite ? Log(sum) : 0.0f;
  normalizer.finite = finite;
}

ATOLL_KERNEL(TopLogprobRows, LogprobParams) {
  const float* const x = reinterpret_cast<const float*>(RowOf(params.logits, blockIdx.x));
  const LogNormalizer normalizer = params.normalizers[blockIdx.x];
  TokenLogprob* const out = params.tokens.address() + blockIdx.x * params.tokens_per_row;
  Candidate last = {0, -1};
  for (int64_t slot = 0; slot < params.tokens_per_row; ++slot) {
    Candidate best = {0, -1};
    for (int64_t i = threadIdx.x; normalizer.finite && i < params.vocabulary; i += blockDim.x) {
      const bool later = last.index < 0 || x[i] < last.value || (x[i] == last.value && i > last.index);
      if (later) Offer({x[i], static_cast<int32_t>(i)}, best);
    }
    last = BlockBest(best);
    if (threadIdx.x != 0) continue;
    out[slot].token = last.index;
    out[slot].logprob = last.index < 0 ? NotANumber() : (last.value - normalizer.max) - normalizer.log_sum;
  }
}

}  // namespace atoll::kernels
