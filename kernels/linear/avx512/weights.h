// Weights of a panel in registers: its 64 outputs are four registers of 16 float32 accumulators per row.
// Included by the AVX-512 files of linear only, each of which gets its own copy in an unnamed namespace: what is compiled there
// must not be what the linker keeps for code that runs on every host. So no inline function and no std:: here.

#pragma once

#include <immintrin.h>

#include "kernels/linear/panel_blocks.h"

namespace atoll::kernels {
namespace {

constexpr int kVectors = 4;           // of 16 outputs in a panel

ATOLL_INLINE int32_t LoadWord32(const char* from) {
  int32_t word;
  __builtin_memcpy(&word, from, sizeof word);
  return word;
}

ATOLL_INLINE int32_t LoadWord16(const char* from) {
  uint16_t word;
  __builtin_memcpy(&word, from, sizeof word);
  return word;
}

ATOLL_INLINE __m512 OddFloats(__m512i pairs) { return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xFFFF0000u)))); }
ATOLL_INLINE __m512 EvenFloats(__m512i pairs) { return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)); }

// ---- weights: pairs as bf16 (low half of a lane the even element), or as float32 (odd, even) -------------------------------

struct NibbleDecoder {   // 3 byte operations for 64 codes
  __m512i high = _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(kE4M3Packing.high)));

  ATOLL_INLINE __m512i HighBytes(__m512i codes) const { return _mm512_shuffle_epi8(high, _mm512_and_si512(codes, _mm512_set1_epi8(0x0F))); }
};

ATOLL_INLINE __m512i PutRareRight(__m512i words) {
  const __m512i values = _mm512_broadcast_i32x4(_mm_unpacklo_epi8(_mm_load_si128(reinterpret_cast<const __m128i*>(kE4M3Packing.rare_low)),
                                                                  _mm_load_si128(reinterpret_cast<const __m128i*>(kE4M3Packing.rare_high))));
  const __mmask32 rare = _mm512_cmpeq_epi16_mask(_mm512_and_si512(words, _mm512_set1_epi16(kRareWordMask)), _mm512_set1_epi16(kRareWordBits));
  const __m512i sign = _mm512_and_si512(words, _mm512_set1_epi16(static_cast<short>(0x8000)));
  return _mm512_or_si512(_mm512_mask_permutexvar_epi16(words, rare, _mm512_srli_epi16(words, 5), values), sign);
}

template <typename Decoder>
struct Fp8Weights {
  static constexpr bool kScaled = true;
  static constexpr int64_t kPairBytes = 128;
  Decoder decoder;

  // Pairs of outputs 32 half + 0..15 and 32 half + 16..31.
  ATOLL_INLINE void Pairs(const PackedPair& pair, int half, __m512i& first, __m512i& second) const {
    const __m512i codes = _mm512_loadu_si512(pair.at + 64 * half);
    const __m512i low = _mm512_and_si512(codes, _mm512_set1_epi8(static_cast<char>(0xF0))), high = decoder.HighBytes(codes);
    first = _mm512_unpacklo_epi8(low, high);
    second = _mm512_unpackhi_epi8(low, high);
    if (__builtin_expect(pair.rare, 0)) first = PutRareRight(first), second = PutRareRight(second);
  }
  ATOLL_INLINE void Floats(const PackedPair& pair, int half, __m512 (&odd)[2], __m512 (&even)[2]) const {
    __m512i first, second;
    Pairs(pair, half, first, second);
    odd[0] = OddFloats(first), odd[1] = OddFloats(second);
    even[0] = EvenFloats(first), even[1] = EvenFloats(second);
  }
};

struct Bf16Weights {
  static constexpr bool kScaled = false;
  static constexpr int64_t kPairBytes = 256;

  ATOLL_INLINE void Pairs(const PackedPair& pair, int half, __m512i& first, __m512i& second) const {
    first = _mm512_loadu_si512(pair.at + 128 * half);
    second = _mm512_loadu_si512(pair.at + 128 * half + 64);
  }
  ATOLL_INLINE void Floats(const PackedPair& pair, int half, __m512 (&odd)[2], __m512 (&even)[2]) const {
    __m512i first, second;
    Pairs(pair, half, first, second);
    odd[0] = OddFloats(first), odd[1] = OddFloats(second);
    even[0] = EvenFloats(first), even[1] = EvenFloats(second);
  }
};

struct F32Weights {
  static constexpr bool kScaled = false;
  static constexpr int64_t kPairBytes = 512;

  ATOLL_INLINE void Floats(const PackedPair& pair, int half, __m512 (&odd)[2], __m512 (&even)[2]) const {
    const float* const at = reinterpret_cast<const float*>(pair.at) + 32 * half;
    even[0] = _mm512_loadu_ps(at), even[1] = _mm512_loadu_ps(at + 16);
    odd[0] = _mm512_loadu_ps(at + kLanes), odd[1] = _mm512_loadu_ps(at + kLanes + 16);
  }
};

}  // namespace
}  // namespace atoll::kernels
