#include "kernels/cuda/device_code.h"
#include "kernels/cuda/operand_access.h"
#include "kernels/swiglu/swiglu_cuda.h"
#include "kernels/swiglu/swiglu_device.h"

namespace atoll::kernels {

ATOLL_KERNEL(SwiGluRows, SwiGluParams) {
  const std::byte* const gate = RowOf(params.gate, blockIdx.x);
  const std::byte* const up = RowOf(params.up, blockIdx.x);
  std::byte* const out = RowOf(params.out, blockIdx.x);
  for (int64_t i = threadIdx.x; i < params.width; i += blockDim.x) {
    PutElement(out, i, params.out.bf16, SwiGluProduct(GetElement(gate, i, false), GetElement(up, i, false)));
  }
}

}  // namespace atoll::kernels
