#pragma once

// Linear by tensor cores (tensor_dots.h has the numerics): inside of linear. Kernels by weight type, warps along the outputs (N) and rows of a
// tile (R); the last decides nothing but speed.

#include "kernels/linear/linear_cuda.h"

namespace atoll::kernels {

ATOLL_DECLARE_KERNEL(TensorLinearE4M3N4R16, 256, LinearParams);
ATOLL_DECLARE_KERNEL(TensorLinearE4M3N4R64, 256, LinearParams);
ATOLL_DECLARE_KERNEL(TensorLinearE4M3N2R16, 256, LinearParams);
ATOLL_DECLARE_KERNEL(TensorLinearE4M3N2R32, 256, LinearParams);
ATOLL_DECLARE_KERNEL(TensorLinearE4M3N1R16, 256, LinearParams);
ATOLL_DECLARE_KERNEL(TensorLinearBf16N4R16, 256, LinearParams);
ATOLL_DECLARE_KERNEL(TensorLinearBf16N4R64, 256, LinearParams);
ATOLL_DECLARE_KERNEL(TensorLinearBf16N2R16, 256, LinearParams);
ATOLL_DECLARE_KERNEL(TensorLinearBf16N2R32, 256, LinearParams);
ATOLL_DECLARE_KERNEL(TensorLinearBf16N1R16, 256, LinearParams);

}  // namespace atoll::kernels
