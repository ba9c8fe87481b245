// Included by the AVX-512 files of linear that have VBMI, on the terms of weights.h.

#pragma once

#include "kernels/linear/avx512/weights.h"

namespace atoll::kernels {
namespace {

struct ByteDecoder {   // 2 byte operations for 64 codes
  __m512i high = _mm512_load_si512(kE4M3Packing.high);

  ATOLL_INLINE __m512i HighBytes(__m512i codes) const { return _mm512_permutexvar_epi8(codes, high); }
};

}  // namespace
}  // namespace atoll::kernels
