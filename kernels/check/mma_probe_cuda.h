#pragma once

// How fast mma.sync goes when nothing else is in its way.

#include "kernels/cuda/device_kernel.h"

namespace atoll::kernels {

inline constexpr int kMmaProbeChains = 8;   // independent sums of a warp

struct MmaProbeParams {
  DevicePtr<float> to;
  int32_t rounds = 0;
};
// Each warp: `rounds` products for each of its chains. Writes only when a sum has a value that it cannot have.
ATOLL_DECLARE_KERNEL(MmaProbe, 256, MmaProbeParams);

}  // namespace atoll::kernels
