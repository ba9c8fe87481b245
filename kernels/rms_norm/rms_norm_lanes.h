#pragma once

// The row of rms_norm.h over sixteen lanes; the lanes header comes before.

#include "kernels/math/lanes_io.h"
#include "kernels/rms_norm/rms_norm_rows.h"

namespace atoll::kernels {
namespace {

inline float SumOfSquares(const float* x, int64_t width) {
  F sum = Splat(0.0f);
  for (int64_t i = 0; i < width; i += 16) {
    const F v = LoadElements(false, x, i, width - i);   // absent lanes add 0 x 0
    sum = Fma(v, v, sum);
  }
  return SumTree(sum);
}

inline void RmsNormLanes(const RmsNormRow& row) {
  const float mean = SumOfSquares(row.x, row.width) / static_cast<float>(row.width);
  const F r = Splat(1.0f / _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(mean + row.eps))));
  for (int64_t i = 0; i < row.width; i += 16) {
    const int64_t count = row.width - i;
    const F x = LoadElements(false, row.x, i, count);
    const F w = LoadElements(false, row.weight, i, count);
    StoreElements(row.bf16, row.out, i, Mul(Mul(x, r), w), count);
  }
}

}  // namespace
}  // namespace atoll::kernels
