#include <cmath>
#include <limits>

#include "kernels/math/lanes_scalar.h"
// After the lanes that it is written over.
#include "kernels/math/float_functions.h"
#include "kernels/softmax/row_sums.h"

namespace atoll::kernels {

namespace {

float LargestOf(const float* x, int64_t count, bool* finite) {
  float max = -std::numeric_limits<float>::infinity();
  *finite = true;
  for (int64_t i = 0; i < count; ++i) {
    *finite = *finite && std::isfinite(x[i]);
    max = Max(x[i], max);
  }
  return max;
}

float SumOfExp(const float* x, int64_t count, float max) {
  float lanes[16] = {};
  for (int64_t i = 0; i < count; ++i) lanes[i % 16] += Exp(x[i] - max);
  for (int half = 8; half >= 1; half /= 2) {
    for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  }
  return lanes[0];
}

}  // namespace

const RowSums kRowSumsReference = {LargestOf, SumOfExp};

}  // namespace atoll::kernels
