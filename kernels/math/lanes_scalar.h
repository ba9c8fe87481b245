#pragma once

// One lane of float32 arithmetic for reference code. lanes_avx2.h and lanes_avx512.h declare the same names for sixteen
// lanes; float_functions.h is written over any of the three. A translation unit includes one of them: everything is in
// the unnamed namespace, so no copy compiled for one instruction set can be linked into another's code.

#include <xmmintrin.h>

#include <cmath>

#define ATOLL_LANES_FUNCTION inline
#include "kernels/math/lanes_one.h"

namespace atoll::kernels {
namespace {

inline F Fma(F a, F b, F c) { return std::fma(a, b, c); }
inline I Truncate(F a) { return _mm_cvttss_si32(_mm_set_ss(a)); }

}  // namespace
}  // namespace atoll::kernels
