#include "kernels/cuda/device_code.h"
#include "kernels/rms_norm/rms_norm_cuda.h"
#include "kernels/rms_norm/rms_norm_device.h"

namespace atoll::kernels {

ATOLL_KERNEL(RmsNormRows, RmsNormParams) {
  const int64_t row = blockIdx.x;
  const float* const x = params.x.address() + row * params.x_stride;
  std::byte* const out = RowOf(params.out, row);
  const float r = InverseRms(x, params.width, params.eps);
  for (int64_t i = threadIdx.x; i < params.width; i += blockDim.x) PutElement(out, i, params.out.bf16, (x[i] * r) * params.weight[i]);
}

}  // namespace atoll::kernels
