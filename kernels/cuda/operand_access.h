#pragma once

// Element by element access to rows whose type is known at run time (the branch is the same in all threads), and sums over a block.

#include "kernels/cuda/device_code.h"
#include "kernels/cuda/operand.h"

// Before a loop over registers: only unrolled do arrays become them.
#ifdef __CUDACC__
#define ATOLL_UNROLL_REGISTERS _Pragma("unroll")
#else
#define ATOLL_UNROLL_REGISTERS
#endif

namespace atoll::kernels {
namespace {

ATOLL_DEVICE float GetElement(const std::byte* row, int64_t index, bool bf16) {
  return bf16 ? ToFloat(reinterpret_cast<const BFloat16*>(row)[index]) : reinterpret_cast<const float*>(row)[index];
}

ATOLL_DEVICE void PutElement(std::byte* row, int64_t index, bool bf16, float value) {
  if (bf16) {
    reinterpret_cast<BFloat16*>(row)[index] = ToBFloat16(value);
  } else {
    reinterpret_cast<float*>(row)[index] = value;
  }
}

ATOLL_DEVICE std::byte* RowOf(const DeviceOperand& operand, int64_t row) {
  return operand.data.address() + row * operand.stride * (operand.bf16 ? 2 : 4);
}

ATOLL_DEVICE bool IsFinite(float value) { return (std::bit_cast<uint32_t>(value) & 0x7F800000u) != 0x7F800000u; }

ATOLL_DEVICE float NotANumber() { return std::bit_cast<float>(0x7FC00000u); }
ATOLL_DEVICE float MinusInfinity() { return std::bit_cast<float>(0xFF800000u); }

constexpr int kWarpLanes = 32;

// The sum over a block of whole warps, at most 1,024 threads: over each warp as WarpSum adds, then over the warps, ascending. Every thread
// gets it. A function of the block's size, which is a constant of the kernel.
ATOLL_DEVICE float BlockSum(float value) {
  ATOLL_SHARED(float, sums, 32);
  value = WarpSum(value);
  __syncthreads();   // an earlier call's readers are done
  if (threadIdx.x % kWarpLanes == 0) sums[threadIdx.x / kWarpLanes] = value;
  __syncthreads();
  float total = 0;
  for (unsigned warp = 0; warp < blockDim.x / kWarpLanes; ++warp) total += sums[warp];
  return total;
}

// Whether `holds` in any thread of a block of whole warps.
ATOLL_DEVICE bool BlockAny(bool holds) {
  ATOLL_SHARED(uint32_t, flags, 32);
  holds = __any_sync(0xFFFFFFFFu, holds);
  __syncthreads();
  if (threadIdx.x % kWarpLanes == 0) flags[threadIdx.x / kWarpLanes] = holds ? 1 : 0;
  __syncthreads();
  uint32_t any = 0;
  for (unsigned warp = 0; warp < blockDim.x / kWarpLanes; ++warp) any |= flags[warp];
  return any != 0;
}

}  // namespace
}  // namespace atoll::kernels
