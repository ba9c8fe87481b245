#include <immintrin.h>

#include "tests/bench/ceilings/ceilings.h"

#define ATOLL_UNROLL _Pragma("GCC unroll 16")   // arrays become registers

namespace atoll::bench {

double FmaLoopAvx512(long rounds) {
  constexpr int kChains = 16;
  __m512 acc[kChains];
  ATOLL_UNROLL for (int i = 0; i < kChains; ++i) acc[i] = _mm512_set1_ps(static_cast<float>(i));
  const __m512 factor = _mm512_set1_ps(0.999f), term = _mm512_set1_ps(0.5f);
  for (long round = 0; round < rounds; ++round) {
    ATOLL_UNROLL for (int i = 0; i < kChains; ++i) acc[i] = _mm512_fmadd_ps(acc[i], factor, term);
  }
  ATOLL_UNROLL for (int i = 1; i < kChains; ++i) acc[0] = _mm512_add_ps(acc[0], acc[i]);
  return _mm512_cvtss_f32(acc[0]);
}

long ReadLoopAvx512(const void* data, long bytes) {
  const auto* from = static_cast<const char*>(data);
  __m512i sum[4] = {};
  for (long i = 0; i < bytes; i += 256) {
    ATOLL_UNROLL for (int j = 0; j < 4; ++j) sum[j] = _mm512_add_epi64(sum[j], _mm512_load_si512(from + i + 64 * j));
  }
  const __m512i all = _mm512_add_epi64(_mm512_add_epi64(sum[0], sum[1]), _mm512_add_epi64(sum[2], sum[3]));
  return _mm_cvtsi128_si64(_mm512_castsi512_si128(all));
}

}  // namespace atoll::bench
