#pragma once

#include "kernels/math/lanes_device.h"
// After the lanes that it is written over.
#include "kernels/math/float_functions.h"

namespace atoll::kernels {
namespace {

ATOLL_DEVICE float SwiGluProduct(float gate, float up) {
  const float silu = gate / (1.0f + Exp(0.0f - gate));
  return silu * up;
}

}  // namespace
}  // namespace atoll::kernels
