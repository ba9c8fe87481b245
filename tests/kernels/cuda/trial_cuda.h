#pragma once

// Small kernels that show what the emulator does with right and with wrong code.

#include "kernels/cuda/device_kernel.h"

namespace atoll::kernels {

enum class Fault : int32_t {
  kNone,
  kNoBarrier,           // reads what other threads write, without a __syncthreads between
  kEarlyReturn,         // some threads return before a barrier
  kTwoBarriers,         // threads of one block wait at two lines
  kMissingLane,         // a shuffle whose mask names a lane that does not come
  kLaneOutsideMask,     // a shuffle that reads a lane outside its mask
  kSharedOverrun,
  kDeviceOverrun,
  kMisaligned,
  kCopyTooEarly,        // reads what cp.async brings before waiting for it
  kCopyNotAwaited,
};

struct TrialParams {
  DevicePtr<const float> from;
  DevicePtr<float> to;
  int64_t count = 0;
  Fault fault = Fault::kNone;
};
// Per block of 64 threads: to = from reversed, through shared memory.
ATOLL_DECLARE_KERNEL(TrialReverse, 64, TrialParams);
// to[block] = sum of the block's 128 elements: a tree in shared memory, then shuffles.
ATOLL_DECLARE_KERNEL(TrialSum, 128, TrialParams);
// to[0..31]: what each lane gets from shuffles and votes, 8 results each, [32, 8].
ATOLL_DECLARE_KERNEL(TrialWarp, 64, TrialParams);
// Per block of 32 threads: to = from through cp.async, four floats a thread; those from `count` on are zero.
ATOLL_DECLARE_KERNEL(TrialCopy, 32, TrialParams);

struct TrialMmaParams {
  DevicePtr<const uint16_t> a;   // bf16 [16, 16]
  DevicePtr<const uint16_t> b;   // bf16 [16, 8]
  DevicePtr<float> d;            // [16, 8], in and out
  bool by_ldmatrix = false;
};
ATOLL_DECLARE_KERNEL(TrialMma, 32, TrialMmaParams);

struct TrialCodesParams {
  DevicePtr<uint32_t> pairs;     // [256]: of codes (i, 255 - i)
};
ATOLL_DECLARE_KERNEL(TrialCodes, 256, TrialCodesParams);

struct TrialCountParams {
  DevicePtr<unsigned> counters;  // [3]: sum, max, order of the blocks as a number
};
ATOLL_DECLARE_KERNEL(TrialCount, 32, TrialCountParams);

}  // namespace atoll::kernels
