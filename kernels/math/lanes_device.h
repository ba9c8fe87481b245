#pragma once

// One lane of float32 arithmetic for kernels in the dialect of kernels/cuda/device_code.h, which comes before: the names of lanes_scalar.h. So
// exp, log, sin and cos give the CPU's bits on a GPU too.

#include <bit>
#include <cstdint>

#include "kernels/cuda/device_code.h"

#define ATOLL_LANES_FUNCTION ATOLL_DEVICE

namespace atoll::kernels {
namespace {

using F = float;
using I = int32_t;
using M = bool;

ATOLL_DEVICE F Splat(float value) { return value; }
ATOLL_DEVICE I SplatInt(int32_t value) { return value; }
ATOLL_DEVICE F Add(F a, F b) { return a + b; }
ATOLL_DEVICE F Sub(F a, F b) { return a - b; }
ATOLL_DEVICE F Mul(F a, F b) { return a * b; }
ATOLL_DEVICE F Div(F a, F b) { return a / b; }
ATOLL_DEVICE F Fma(F a, F b, F c) { return fmaf(a, b, c); }
ATOLL_DEVICE F Min(F a, F b) { return a < b ? a : b; }  // b where either is NaN
ATOLL_DEVICE F Max(F a, F b) { return a > b ? a : b; }  // b where either is NaN
ATOLL_DEVICE M Less(F a, F b) { return a < b; }
ATOLL_DEVICE M Equal(F a, F b) { return a == b; }
ATOLL_DEVICE M IsNan(F a) { return a != a; }
ATOLL_DEVICE F Select(M m, F yes, F no) { return m ? yes : no; }
ATOLL_DEVICE I Truncate(F a) {   // the smallest integer where a has none, as the CPU's instruction answers
  return a >= -0x1p31f && a < 0x1p31f ? static_cast<int32_t>(a) : static_cast<int32_t>(0x80000000u);
}
ATOLL_DEVICE F ToFloats(I a) { return static_cast<float>(a); }
ATOLL_DEVICE I Bits(F a) { return std::bit_cast<int32_t>(a); }
ATOLL_DEVICE F FromBits(I a) { return std::bit_cast<float>(a); }
ATOLL_DEVICE I AddInt(I a, I b) { return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b)); }
ATOLL_DEVICE I SubInt(I a, I b) { return static_cast<int32_t>(static_cast<uint32_t>(a) - static_cast<uint32_t>(b)); }
ATOLL_DEVICE I And(I a, I b) { return a & b; }
ATOLL_DEVICE I Or(I a, I b) { return a | b; }
ATOLL_DEVICE I Xor(I a, I b) { return a ^ b; }
template <int kBits>
ATOLL_DEVICE I ShiftLeft(I a) { return static_cast<int32_t>(static_cast<uint32_t>(a) << kBits); }
template <int kBits>
ATOLL_DEVICE I ShiftRight(I a) { return a >> kBits; }  // arithmetic
ATOLL_DEVICE M EqualInt(I a, I b) { return a == b; }
ATOLL_DEVICE I MulLow(I a, I b) { return static_cast<int32_t>(static_cast<uint32_t>(a) * static_cast<uint32_t>(b)); }
ATOLL_DEVICE I MulHigh(I a, I b) {   // unsigned
  return static_cast<int32_t>(static_cast<uint64_t>(static_cast<uint32_t>(a)) * static_cast<uint32_t>(b) >> 32);
}

}  // namespace
}  // namespace atoll::kernels
