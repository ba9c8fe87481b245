#pragma once

// One lane of float32 arithmetic for kernels in the dialect of kernels/cuda/device_code.h, which comes before: the names of lanes_scalar.h. So
// exp, log, sin and cos give the CPU's bits on a GPU too.

#include "kernels/cuda/device_code.h"

#define ATOLL_LANES_FUNCTION ATOLL_DEVICE
#include "kernels/math/lanes_one.h"

namespace atoll::kernels {
namespace {

ATOLL_DEVICE F Fma(F a, F b, F c) { return fmaf(a, b, c); }
ATOLL_DEVICE I Truncate(F a) {   // the smallest integer where a has none, as the CPU's instruction answers
  return a >= -0x1p31f && a < 0x1p31f ? static_cast<int32_t>(a) : static_cast<int32_t>(0x80000000u);
}

}  // namespace
}  // namespace atoll::kernels
