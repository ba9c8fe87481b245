#pragma once

// SwiGLU's product (spec: "Dense MLP and expert MLP"): out = silu(gate) * up, silu(z) = z / (1 + e^-z).
//
// Numerics: e = Exp(0 - z); s = z / (1 + e); out = round(s * up), each step one float32 operation, Exp of
// math/float_functions.h; one rounding when `out` is bfloat16, none when it is float32. Every path gives the same bits.

#include <cstdint>

#include "base/matrix_view.h"
#include "kernels/context.h"
#include "kernels/kernel_error.h"

namespace atoll::kernels {

// gate, up: float32 [rows, width]; out: bfloat16 or float32 [rows, width].
KernelError SwiGlu(const Context& context, ConstMatrixView gate, ConstMatrixView up, MatrixView out);

// One row, for kernels that fuse the product into their own loops: `width` elements of gate and up into `out` (of the dtype that
// was asked for). Denormals must be flushed by the caller (FlushDenormals). `out` may lie over gate or up only if float32.
using SwiGluRow = void (*)(const float* gate, const float* up, int64_t width, void* out);
SwiGluRow SwiGluRowOf(Isa isa, DType out);

}  // namespace atoll::kernels
