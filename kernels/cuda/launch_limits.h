#pragma once

// Whether sm_90 could run a launch; the same words from both devices.

#include "kernels/cuda/device_kernel.h"
#include "kernels/kernel_error.h"

namespace atoll::kernels {

KernelError ExpectLaunchable(const KernelImage& kernel, const LaunchShape& shape);

// A grid without blocks is no error: zero rows.
inline bool LaunchesNothing(const LaunchShape& shape) { return shape.grid.x == 0 || shape.grid.y == 0 || shape.grid.z == 0; }

// "kernel RmsNormRows, grid (7, 1, 1), block (256, 1, 1), 0 bytes of shared memory"
std::string LaunchText(const KernelImage& kernel, const LaunchShape& shape);

}  // namespace atoll::kernels
