#pragma once

// The row of swiglu.h over sixteen lanes; the lanes header comes before.

#include "kernels/math/float_functions.h"
#include "kernels/math/lanes_io.h"

namespace atoll::kernels {
namespace {

inline void SwiGluLanes(bool bf16, const float* gate, const float* up, int64_t width, void* out) {
  for (int64_t i = 0; i < width; i += 16) {
    const int64_t count = width - i;
    const F z = LoadElements(false, gate, i, count);
    const F u = LoadElements(false, up, i, count);
    const F s = Div(z, Add(Splat(1.0f), Exp(Sub(Splat(0.0f), z))));
    StoreElements(bf16, out, i, Mul(s, u), count);
  }
}

}  // namespace
}  // namespace atoll::kernels
