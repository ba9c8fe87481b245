#pragma once

// RmsNorm on a device (rms_norm.h). All addresses lie in device memory.
//
// Numerics: thread t of 256 sums the squares of elements t, t + 256, ... (fma, ascending), the sums are added as BlockSum says
// (cuda/operand_access.h); the rest as in rms_norm.h. So a row depends on itself alone.

#include "kernels/cuda/operand.h"
#include "kernels/cuda/runtime.h"
#include "kernels/rms_norm/rms_norm.h"

namespace atoll::kernels {

KernelError RmsNorm(DeviceStream& stream, ConstMatrixView x, std::span<const float> weight, float eps, MatrixView out);

struct RmsNormParams {
  DevicePtr<const float> x = {};
  int64_t x_stride = 0;
  DevicePtr<const float> weight = {};
  DeviceOperand out = {};
  int64_t width = 0;
  float eps = 0;
};
ATOLL_DECLARE_KERNEL(RmsNormRows, 256, RmsNormParams);

}  // namespace atoll::kernels
