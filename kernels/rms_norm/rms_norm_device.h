#pragma once

// The norm of one row by one block, for kernels that fuse it. The factor is the same in all threads.

#include "kernels/cuda/operand_access.h"

namespace atoll::kernels {
namespace {

// 1 / sqrt(mean(x^2) + eps).
ATOLL_DEVICE float InverseRms(const float* x, int64_t width, float eps) {
  float sum = 0;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) sum = fmaf(x[i], x[i], sum);
  const float mean = BlockSum(sum) / static_cast<float>(width);
  return 1.0f / sqrtf(mean + eps);
}

}  // namespace
}  // namespace atoll::kernels
