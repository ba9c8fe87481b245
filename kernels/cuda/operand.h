#pragma once

// Matrices as params of kernels. Plain C++, included by both sides; operand_access.h has what kernels do with them.

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/device_kernel.h"

namespace atoll::kernels {

// Rows of bfloat16 or float32 elements in device memory.
struct DeviceOperand {
  DevicePtr<std::byte> data = {};
  int64_t stride = 0;   // elements
  bool bf16 = false;
};

}  // namespace atoll::kernels
