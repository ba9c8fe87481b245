#pragma once

// One lane of float32 arithmetic: what lanes_scalar.h and lanes_device.h, which include it, have in common. They say how a function is
// declared (ATOLL_LANES_FUNCTION), and add Fma and Truncate, which each processor has in its own way.

#include <bit>
#include <cstdint>

namespace atoll::kernels {
namespace {

using F = float;
using I = int32_t;
using M = bool;

ATOLL_LANES_FUNCTION F Splat(float value) { return value; }
ATOLL_LANES_FUNCTION I SplatInt(int32_t value) { return value; }
ATOLL_LANES_FUNCTION F Add(F a, F b) { return a + b; }
ATOLL_LANES_FUNCTION F Sub(F a, F b) { return a - b; }
ATOLL_LANES_FUNCTION F Mul(F a, F b) { return a * b; }
ATOLL_LANES_FUNCTION F Div(F a, F b) { return a / b; }
ATOLL_LANES_FUNCTION F Min(F a, F b) { return a < b ? a : b; }  // b where either is NaN
ATOLL_LANES_FUNCTION F Max(F a, F b) { return a > b ? a : b; }  // b where either is NaN
ATOLL_LANES_FUNCTION M Less(F a, F b) { return a < b; }
ATOLL_LANES_FUNCTION M Equal(F a, F b) { return a == b; }
ATOLL_LANES_FUNCTION M IsNan(F a) { return a != a; }
ATOLL_LANES_FUNCTION F Select(M m, F yes, F no) { return m ? yes : no; }
ATOLL_LANES_FUNCTION F ToFloats(I a) { return static_cast<float>(a); }
ATOLL_LANES_FUNCTION I Bits(F a) { return std::bit_cast<int32_t>(a); }
ATOLL_LANES_FUNCTION F FromBits(I a) { return std::bit_cast<float>(a); }
ATOLL_LANES_FUNCTION I AddInt(I a, I b) { return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b)); }
ATOLL_LANES_FUNCTION I SubInt(I a, I b) { return static_cast<int32_t>(static_cast<uint32_t>(a) - static_cast<uint32_t>(b)); }
ATOLL_LANES_FUNCTION I And(I a, I b) { return a & b; }
ATOLL_LANES_FUNCTION I Or(I a, I b) { return a | b; }
ATOLL_LANES_FUNCTION I Xor(I a, I b) { return a ^ b; }
template <int kBits>
ATOLL_LANES_FUNCTION I ShiftLeft(I a) { return static_cast<int32_t>(static_cast<uint32_t>(a) << kBits); }
template <int kBits>
ATOLL_LANES_FUNCTION I ShiftRight(I a) { return a >> kBits; }  // arithmetic
ATOLL_LANES_FUNCTION M EqualInt(I a, I b) { return a == b; }
ATOLL_LANES_FUNCTION I MulLow(I a, I b) { return static_cast<int32_t>(static_cast<uint32_t>(a) * static_cast<uint32_t>(b)); }
ATOLL_LANES_FUNCTION I MulHigh(I a, I b) {   // unsigned
  return static_cast<int32_t>(static_cast<uint64_t>(static_cast<uint32_t>(a)) * static_cast<uint32_t>(b) >> 32);
}

}  // namespace
}  // namespace atoll::kernels
