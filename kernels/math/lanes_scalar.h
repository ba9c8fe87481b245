#pragma once

// One lane of float32 arithmetic for reference code. lanes_avx2.h and lanes_avx512.h declare the same names for sixteen
// lanes; float_functions.h is written over any of the three. A translation unit includes one of them: everything is in
// the unnamed namespace, so no copy compiled for one instruction set can be linked into another's code.

#include <xmmintrin.h>

#include <bit>
#include <cmath>
#include <cstdint>

namespace atoll::kernels {
namespace {

using F = float;
using I = int32_t;
using M = bool;

inline F Splat(float value) { return value; }
inline I SplatInt(int32_t value) { return value; }
inline F Add(F a, F b) { return a + b; }
inline F Sub(F a, F b) { return a - b; }
inline F Mul(F a, F b) { return a * b; }
inline F Div(F a, F b) { return a / b; }
inline F Fma(F a, F b, F c) { return std::fma(a, b, c); }
inline F Min(F a, F b) { return a < b ? a : b; }  // b where either is NaN
inline F Max(F a, F b) { return a > b ? a : b; }  // b where either is NaN
inline M Less(F a, F b) { return a < b; }
inline M Equal(F a, F b) { return a == b; }
inline M IsNan(F a) { return a != a; }
inline F Select(M m, F yes, F no) { return m ? yes : no; }
inline I Truncate(F a) { return _mm_cvttss_si32(_mm_set_ss(a)); }
inline F ToFloats(I a) { return static_cast<float>(a); }
inline I Bits(F a) { return std::bit_cast<int32_t>(a); }
inline F FromBits(I a) { return std::bit_cast<float>(a); }
inline I AddInt(I a, I b) { return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b)); }
inline I SubInt(I a, I b) { return static_cast<int32_t>(static_cast<uint32_t>(a) - static_cast<uint32_t>(b)); }
inline I And(I a, I b) { return a & b; }
inline I Or(I a, I b) { return a | b; }
inline I Xor(I a, I b) { return a ^ b; }
template <int kBits>
inline I ShiftLeft(I a) { return static_cast<int32_t>(static_cast<uint32_t>(a) << kBits); }
template <int kBits>
inline I ShiftRight(I a) { return a >> kBits; }  // arithmetic
inline M EqualInt(I a, I b) { return a == b; }
inline I MulLow(I a, I b) { return static_cast<int32_t>(static_cast<uint32_t>(a) * static_cast<uint32_t>(b)); }
inline I MulHigh(I a, I b) {   // unsigned
  return static_cast<int32_t>(static_cast<uint64_t>(static_cast<uint32_t>(a)) * static_cast<uint32_t>(b) >> 32);
}

}  // namespace
}  // namespace atoll::kernels
