#include <immintrin.h>

#include "tests/bench/ceilings/ceilings.h"

#define ATOLL_UNROLL _Pragma("GCC unroll 16")   // arrays become registers

namespace atoll::bench {

double FmaLoopAvx2(long rounds) {
  constexpr int kChains = 12;   // enough to hide the latency, few enough for 16 registers
  __m256 acc[kChains];
  ATOLL_UNROLL for (int i = 0; i < kChains; ++i) acc[i] = _mm256_set1_ps(static_cast<float>(i));
  const __m256 factor = _mm256_set1_ps(0.999f), term = _mm256_set1_ps(0.5f);
  for (long round = 0; round < rounds; ++round) {
    ATOLL_UNROLL for (int i = 0; i < kChains; ++i) acc[i] = _mm256_fmadd_ps(acc[i], factor, term);
  }
  ATOLL_UNROLL for (int i = 1; i < kChains; ++i) acc[0] = _mm256_add_ps(acc[0], acc[i]);
  return _mm256_cvtss_f32(acc[0]);
}

long ReadLoopAvx2(const void* data, long bytes) {
  const auto* from = static_cast<const __m256i*>(data);
  __m256i sum[4] = {};
  for (long i = 0; i < bytes / 32; i += 4) {
    ATOLL_UNROLL for (int j = 0; j < 4; ++j) sum[j] = _mm256_add_epi64(sum[j], _mm256_load_si256(from + i + j));
  }
  return _mm256_extract_epi64(_mm256_add_epi64(_mm256_add_epi64(sum[0], sum[1]), _mm256_add_epi64(sum[2], sum[3])), 0);
}

}  // namespace atoll::bench
