#include <cmath>

#include "base/dtype.h"
#include "kernels/rms_norm/rms_norm_rows.h"

namespace atoll::kernels {

namespace {

float SumOfSquares(const float* x, int64_t width) {
  float lanes[16] = {};
  for (int64_t i = 0; i < width; ++i) lanes[i % 16] = std::fma(x[i], x[i], lanes[i % 16]);
  for (int half = 8; half >= 1; half /= 2) {
    for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  }
  return lanes[0];
}

}  // namespace

void RmsNormReference(const RmsNormRow& row) {
  const float mean = SumOfSquares(row.x, row.width) / static_cast<float>(row.width);
  const float r = 1.0f / std::sqrt(mean + row.eps);
  for (int64_t i = 0; i < row.width; ++i) {
    const float y = (row.x[i] * r) * row.weight[i];
    if (row.bf16) {
      static_cast<BFloat16*>(row.out)[i] = ToBFloat16(y);
    } else {
      static_cast<float*>(row.out)[i] = y;
    }
  }
}

}  // namespace atoll::kernels
