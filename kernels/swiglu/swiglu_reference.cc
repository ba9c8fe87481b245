#include "base/dtype.h"
#include "kernels/math/lanes_scalar.h"
// After the lanes that it is written over.
#include "kernels/math/float_functions.h"
#include "kernels/swiglu/swiglu_rows.h"

namespace atoll::kernels {

namespace {

float Product(float gate, float up) {
  const float silu = gate / (1.0f + Exp(0.0f - gate));
  return silu * up;
}

}  // namespace

void SwiGluBf16Reference(const float* gate, const float* up, int64_t width, void* out) {
  for (int64_t i = 0; i < width; ++i) static_cast<BFloat16*>(out)[i] = ToBFloat16(Product(gate[i], up[i]));
}

void SwiGluF32Reference(const float* gate, const float* up, int64_t width, void* out) {
  for (int64_t i = 0; i < width; ++i) static_cast<float*>(out)[i] = Product(gate[i], up[i]);
}

}  // namespace atoll::kernels
