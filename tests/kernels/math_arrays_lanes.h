#pragma once

// The arrays over vector lanes: each math_arrays_avx*.cc includes its lanes first, then this.

#include "kernels/math/float_functions.h"
#include "math_arrays.h"

namespace atoll::kernels::testing {
namespace {

constexpr MathArrays kLaneArrays = {
    .exp = [](const float* x, int64_t count, float* y) { for (int64_t i = 0; i < count; i += 16) Store(y + i, Exp(Load(x + i))); },
    .log = [](const float* x, int64_t count, float* y) { for (int64_t i = 0; i < count; i += 16) Store(y + i, Log(Load(x + i))); },
    .log1p = [](const float* x, int64_t count, float* y) { for (int64_t i = 0; i < count; i += 16) Store(y + i, Log1p(Load(x + i))); },
    .sine = [](const float* x, int64_t count, float* y) {
      for (int64_t i = 0; i < count; i += 16) { F s, c; SinCos(Load(x + i), &s, &c); Store(y + i, s); }
    },
    .cosine = [](const float* x, int64_t count, float* y) {
      for (int64_t i = 0; i < count; i += 16) { F s, c; SinCos(Load(x + i), &s, &c); Store(y + i, c); }
    },
    .round_bf16 = [](const float* x, int64_t count, uint16_t* y) { for (int64_t i = 0; i < count; i += 16) StoreBf16(y + i, Load(x + i)); },
    .sum_tree = [](const float* x) { return SumTree(Load(x)); },
    .zip_unzip = [](const float* x, float* even, float* odd, float* together) {
      F e, o, low, high;
      Unzip(Load(x), Load(x + 16), &e, &o);
      Store(even, e);
      Store(odd, o);
      Zip(e, o, &low, &high);
      Store(together, low);
      Store(together + 16, high);
    },
    .transpose = [](const float* x, float* y) {
      F rows[16];
      for (int i = 0; i < 16; ++i) rows[i] = Load(x + 16 * i);
      Transpose(rows);
      for (int i = 0; i < 16; ++i) Store(y + 16 * i, rows[i]);
    },
};

}  // namespace
}  // namespace atoll::kernels::testing
