#include "kernels/combine/combine_cuda.h"
#include "kernels/cuda/device_code.h"
#include "kernels/cuda/operand_access.h"

namespace atoll::kernels {

ATOLL_KERNEL(CombineRows, CombineParams) {
  const int64_t row = blockIdx.x;
  const void* const* const experts = params.expert_rows.address() + row * params.slots;
  const float* const weights = params.weights.address() + row * params.slots;
  float* const residual = reinterpret_cast<float*>(RowOf(params.residual, row));
  bool bad = false;
  for (int64_t i = threadIdx.x; i < params.width; i += blockDim.x) {
    float acc = 0;
    for (int64_t slot = 0; slot < params.slots; ++slot) {
      const std::byte* const expert = static_cast<const std::byte*>(experts[slot]);
      const float y = expert == nullptr ? NotANumber() : GetElement(expert, i, params.bf16);
      bad = bad || !IsFinite(y);
      acc = fmaf(weights[slot], y, acc);
    }
    if (params.shared.data) acc += reinterpret_cast<const float*>(RowOf(params.shared, row))[i];
    residual[i] += acc;
  }
  bad = BlockAny(bad);
  if (threadIdx.x == 0) params.non_finite[row] = bad ? 1 : 0;
}

}  // namespace atoll::kernels
