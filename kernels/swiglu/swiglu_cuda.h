#pragma once

// SwiGLU's product on a device: swiglu.h's order, so the CPU's bits. All addresses lie in device memory.

#include "kernels/cuda/operand.h"
#include "kernels/cuda/runtime.h"
#include "kernels/swiglu/swiglu.h"

namespace atoll::kernels {

KernelError SwiGlu(DeviceStream& stream, ConstMatrixView gate, ConstMatrixView up, MatrixView out);

struct SwiGluParams {
  DeviceOperand gate = {}, up = {}, out = {};
  int64_t width = 0;
};
ATOLL_DECLARE_KERNEL(SwiGluRows, 256, SwiGluParams);

}  // namespace atoll::kernels
