#pragma once

// Kernels about the device itself: whether this build's images run there, and how fast its memory is.

#include "kernels/cuda/device_kernel.h"

namespace atoll::kernels {

struct ProbeParams {
  DevicePtr<const uint32_t> from;
  DevicePtr<uint32_t> to;
  int64_t vectors = 0;   // of 16 bytes
};
// to[i] = from[i], 16 bytes per access.
ATOLL_DECLARE_KERNEL(ProbeCopy, 512, ProbeParams);
// Reads all of `from`; to[0] depends on it.
ATOLL_DECLARE_KERNEL(ProbeRead, 512, ProbeParams);
// to[i] = i.
ATOLL_DECLARE_KERNEL(ProbeFill, 512, ProbeParams);

}  // namespace atoll::kernels
