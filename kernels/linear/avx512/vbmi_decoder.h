// Included by the AVX-512 files of linear that have VBMI, on the terms of weights.h.

#pragma once

#include "kernels/linear/avx512/weights.h"

namespace atoll::kernels {
namespace {

struct ByteDecoder {   // 3 byte operations for 64 codes
  __m512i low0 = _mm512_load_si512(kE4M3Bytes.low), low1 = _mm512_load_si512(kE4M3Bytes.low + 64);
  __m512i high0 = _mm512_load_si512(kE4M3Bytes.high), high1 = _mm512_load_si512(kE4M3Bytes.high + 64);

  ATOLL_INLINE void Bytes(__m512i codes, __m512i& low_bytes, __m512i& high_bytes) const {
    low_bytes = _mm512_permutex2var_epi8(low0, codes, low1);
    const __m512i magnitude = _mm512_permutex2var_epi8(high0, codes, high1);
    constexpr int kAOrBAndC = 0xF8;
    high_bytes = _mm512_ternarylogic_epi32(magnitude, codes, _mm512_set1_epi8(static_cast<char>(0x80)), kAOrBAndC);
  }
};

}  // namespace
}  // namespace atoll::kernels
