#pragma once

// Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3") and the noise of Gumbel-max
// sampling, over the lanes header included before.
//
// Key: the seed. Counter: (block, position, sequence index, 0). A token id takes word (id / 16) % 4 of block (id / 64) * 16 + id % 16,
// so that sixteen neighbouring ids are one word of sixteen blocks.

#include "kernels/math/float_functions.h"
#include "kernels/sampling/noise_key.h"

namespace atoll::kernels {
namespace {

struct PhiloxWords {
  I word[4];
};

ATOLL_LANES_FUNCTION PhiloxWords Philox(const NoiseKey& key, I block) {
  const I multiplier0 = SplatInt(static_cast<int32_t>(0xD2511F53u)), multiplier1 = SplatInt(static_cast<int32_t>(0xCD9E8D57u));
  uint32_t k0 = static_cast<uint32_t>(key.seed), k1 = static_cast<uint32_t>(key.seed >> 32);
  I c0 = block, c1 = SplatInt(static_cast<int32_t>(key.position)), c2 = SplatInt(static_cast<int32_t>(key.sequence_index)), c3 = SplatInt(0);
  for (int round = 0; round < 10; ++round) {
    const I high0 = MulHigh(c0, multiplier0), low0 = MulLow(c0, multiplier0);
    const I high1 = MulHigh(c2, multiplier1), low1 = MulLow(c2, multiplier1);
    c0 = Xor(Xor(high1, c1), SplatInt(static_cast<int32_t>(k0)));
    c1 = low1;
    c2 = Xor(Xor(high0, c3), SplatInt(static_cast<int32_t>(k1)));
    c3 = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// V = (r + 1/2) / 2^32 rounded to float32, at most 1 - 2^-24; the noise is -ln(-ln(1 - V)), at most 22.88.
ATOLL_LANES_FUNCTION F GumbelNoise(I r) {
  const F low = Fma(ToFloats(And(r, SplatInt(0xFFFF))), Splat(0x1p-32f), Splat(0x1p-33f));
  const F high = ToFloats(And(ShiftRight<16>(r), SplatInt(0xFFFF)));
  const F v = Min(Fma(high, Splat(0x1p-16f), low), Splat(0x1.fffffep-1f));
  const F exponential = Sub(Splat(0.0f), Log1p(Sub(Splat(0.0f), v)));
  return Sub(Splat(0.0f), Log(exponential));
}

}  // namespace
}  // namespace atoll::kernels
