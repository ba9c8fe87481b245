#pragma once

// Embedding on a device (embedding.h), exact. All addresses lie in device memory.

#include "kernels/cuda/operand.h"
#include "kernels/cuda/runtime.h"
#include "kernels/embedding/embedding.h"

namespace atoll::kernels {

// The host cannot see the tokens: the row of one outside the table becomes NaN, which ends its sequence.
KernelError Embedding(DeviceStream& stream, ConstMatrixView table, std::span<const int32_t> tokens, MatrixView out);

struct EmbeddingParams {
  DeviceOperand table = {};
  int64_t vocabulary = 0;
  DevicePtr<const int32_t> tokens = {};
  DeviceOperand out = {};
  int64_t width = 0;
};
ATOLL_DECLARE_KERNEL(EmbeddingRows, 256, EmbeddingParams);

}  // namespace atoll::kernels
