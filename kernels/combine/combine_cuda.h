#pragma once

// Combine on a device: combine.h's order, so the CPU's bits. All addresses, those in expert_rows too, lie in device memory.

#include "kernels/combine/combine.h"
#include "kernels/cuda/operand.h"
#include "kernels/cuda/runtime.h"

namespace atoll::kernels {

// The host cannot see expert_rows: a null address counts as a row that is not finite.
KernelError Combine(DeviceStream& stream, const CombineArgs& args);

struct CombineParams {
  DevicePtr<const void* const> expert_rows = {};
  DevicePtr<const float> weights = {};
  int64_t slots = 0;
  bool bf16 = true;              // the expert rows; else float32
  DeviceOperand shared = {};          // null: none
  DeviceOperand residual = {};
  DevicePtr<uint8_t> non_finite = {};
  int64_t width = 0;
};
ATOLL_DECLARE_KERNEL(CombineRows, 256, CombineParams);

}  // namespace atoll::kernels
