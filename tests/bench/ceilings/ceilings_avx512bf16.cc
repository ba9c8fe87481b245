#include <immintrin.h>

#include "tests/bench/ceilings/ceilings.h"

#define ATOLL_UNROLL _Pragma("GCC unroll 16")   // arrays become registers

namespace atoll::bench {

double DotLoopAvx512Bf16(long rounds) {
  constexpr int kChains = 16;
  __m512 acc[kChains];
  ATOLL_UNROLL for (int i = 0; i < kChains; ++i) acc[i] = _mm512_set1_ps(static_cast<float>(i));
  const __m512bh ones = reinterpret_cast<__m512bh>(_mm512_set1_epi32(0x3F803F80)), small = reinterpret_cast<__m512bh>(_mm512_set1_epi32(0x30003000));
  for (long round = 0; round < rounds; ++round) {
    ATOLL_UNROLL for (int i = 0; i < kChains; ++i) acc[i] = _mm512_dpbf16_ps(acc[i], ones, small);
  }
  ATOLL_UNROLL for (int i = 1; i < kChains; ++i) acc[0] = _mm512_add_ps(acc[0], acc[i]);
  return _mm512_cvtss_f32(acc[0]);
}

}  // namespace atoll::bench
