#pragma once

// RMSNorm (spec 3.1): out = x * r * weight, r = 1 / sqrt(mean(x^2) + eps).
//
// Numerics: the squares are summed in 16 lanes (element i in lane i % 16), lane = fma(x, x, lane) ascending, then the tree lane l +=
// lane l + 8, + 4, + 2, + 1; mean = sum / float(width); r = 1 / sqrt(mean + eps), IEEE division and square root; out =
// round((x * r) * weight), one rounding when `out` is bfloat16, none when it is float32. Every path gives the same bits.

#include <span>

#include "base/matrix_view.h"
#include "kernels/context.h"
#include "kernels/kernel_error.h"

namespace atoll::kernels {

// x: float32 [rows, width]; weight: [width]; out: bfloat16 or float32 [rows, width]. `out` may be x itself if float32.
KernelError RmsNorm(const Context& context, ConstMatrixView x, std::span<const float> weight, float eps, MatrixView out);

}  // namespace atoll::kernels
