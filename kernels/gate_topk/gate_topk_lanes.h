#pragma once

// Scores of gate_topk.h over sixteen lanes; the lanes header comes before.

#include "kernels/math/float_functions.h"
#include "kernels/math/lanes_io.h"

namespace atoll::kernels {
namespace {

inline bool GateScoresLanes(const float* logits, const float* bias, int64_t experts, float* scores, float* biased) {
  uint32_t finite = 0xFFFF;
  const F largest = FromBits(SplatInt(0x7F7FFFFF));
  for (int64_t e = 0; e < experts; e += 16) {
    const int64_t count = experts - e;
    const F z = LoadElements(false, logits, e, count);
    const F size = FromBits(And(Bits(z), SplatInt(0x7FFFFFFF)));
    finite &= ~(MaskBits(Less(largest, size)) | MaskBits(IsNan(z)));
    const F s = Div(Splat(1.0f), Add(Splat(1.0f), Exp(Sub(Splat(0.0f), z))));
    StoreElements(false, scores, e, s, count);
    StoreElements(false, biased, e, Add(s, LoadElements(false, bias, e, count)), count);
  }
  return (finite & 0xFFFF) == 0xFFFF;
}

}  // namespace
}  // namespace atoll::kernels
