#include "kernels/math/lanes_scalar.h"
// After the lanes that it is written over.
#include "kernels/math/float_functions.h"
#include "math_arrays.h"

namespace atoll::kernels::testing {

const MathArrays kScalarArrays = {
    .exp = [](const float* x, int64_t count, float* y) { for (int64_t i = 0; i < count; ++i) y[i] = Exp(x[i]); },
    .log = [](const float* x, int64_t count, float* y) { for (int64_t i = 0; i < count; ++i) y[i] = Log(x[i]); },
    .log1p = [](const float* x, int64_t count, float* y) { for (int64_t i = 0; i < count; ++i) y[i] = Log1p(x[i]); },
    .sine = [](const float* x, int64_t count, float* y) { float c; for (int64_t i = 0; i < count; ++i) SinCos(x[i], y + i, &c); },
    .cosine = [](const float* x, int64_t count, float* y) { float s; for (int64_t i = 0; i < count; ++i) SinCos(x[i], &s, y + i); },
    .round_bf16 = nullptr,
    .sum_tree = nullptr,
    .zip_unzip = nullptr,
    .transpose = nullptr,
};

}  // namespace atoll::kernels::testing
