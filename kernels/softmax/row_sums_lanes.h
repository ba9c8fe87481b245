#pragma once

// RowSums over sixteen lanes; the lanes header comes before.

#include "kernels/math/float_functions.h"
#include "kernels/math/lanes_io.h"
#include "kernels/softmax/row_sums.h"

namespace atoll::kernels {
namespace {

inline F NegativeInfinity() { return FromBits(SplatInt(static_cast<int32_t>(0xFF800000u))); }

inline float LargestLane(F x) {
  alignas(64) float lanes[16];
  Store(lanes, x);
  float max = lanes[0];
  for (int lane = 1; lane < 16; ++lane) max = lanes[lane] > max ? lanes[lane] : max;
  return max;
}

inline float LargestOfLanes(const float* x, int64_t count, bool* finite) {
  const float low = -__builtin_inff();
  const F largest = FromBits(SplatInt(0x7F7FFFFF));
  F max = NegativeInfinity();
  uint32_t bad = 0;
  for (int64_t i = 0; i < count; i += 16) {
    const F v = LoadFirstOr(x + i, count - i, low);
    const uint32_t present = count - i >= 16 ? 0xFFFFu : (1u << (count - i)) - 1u;
    const F size = FromBits(And(Bits(v), SplatInt(0x7FFFFFFF)));
    bad |= (MaskBits(Less(largest, size)) | MaskBits(IsNan(v))) & present;
    max = Max(v, max);
  }
  *finite = bad == 0;
  return LargestLane(max);
}

inline float SumOfExpLanes(const float* x, int64_t count, float max) {
  const float low = -__builtin_inff();   // Exp of it is 0
  F sum = Splat(0.0f);
  for (int64_t i = 0; i < count; i += 16) sum = Add(sum, Exp(Sub(LoadFirstOr(x + i, count - i, low), Splat(max))));
  return SumTree(sum);
}

}  // namespace
}  // namespace atoll::kernels
