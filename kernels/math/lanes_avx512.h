#pragma once

// Sixteen lanes of float32 in one AVX-512 register: see lanes_scalar.h. Only for files compiled with AVX-512 F, BW, DQ, VL.

#include <immintrin.h>

#include <cstdint>

namespace atoll::kernels {
namespace {

using F = __m512;
using I = __m512i;
using M = __mmask16;
inline constexpr int kRegistersPerF = 1;

inline F Splat(float value) { return _mm512_set1_ps(value); }
inline I SplatInt(int32_t value) { return _mm512_set1_epi32(value); }
inline F Add(F a, F b) { return _mm512_add_ps(a, b); }
inline F Sub(F a, F b) { return _mm512_sub_ps(a, b); }
inline F Mul(F a, F b) { return _mm512_mul_ps(a, b); }
inline F Div(F a, F b) { return _mm512_div_ps(a, b); }
inline F Fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
inline F Min(F a, F b) { return _mm512_min_ps(a, b); }
inline F Max(F a, F b) { return _mm512_max_ps(a, b); }
inline M Less(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
inline M Equal(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
inline M IsNan(F a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
inline F Select(M m, F yes, F no) { return _mm512_mask_blend_ps(m, no, yes); }
inline I Truncate(F a) { return _mm512_cvttps_epi32(a); }
inline F ToFloats(I a) { return _mm512_cvtepi32_ps(a); }
inline I Bits(F a) { return _mm512_castps_si512(a); }
inline F FromBits(I a) { return _mm512_castsi512_ps(a); }
inline I AddInt(I a, I b) { return _mm512_add_epi32(a, b); }
inline I SubInt(I a, I b) { return _mm512_sub_epi32(a, b); }
inline I And(I a, I b) { return _mm512_and_si512(a, b); }
inline I Or(I a, I b) { return _mm512_or_si512(a, b); }
inline I Xor(I a, I b) { return _mm512_xor_si512(a, b); }
template <int kBits>
inline I ShiftLeft(I a) { return _mm512_slli_epi32(a, kBits); }
template <int kBits>
inline I ShiftRight(I a) { return _mm512_srai_epi32(a, kBits); }
inline M EqualInt(I a, I b) { return _mm512_cmpeq_epi32_mask(a, b); }
inline I MulLow(I a, I b) { return _mm512_mullo_epi32(a, b); }
inline I MulHigh(I a, I b) {   // unsigned
  const I even = _mm512_srli_epi64(_mm512_mul_epu32(a, b), 32);
  const I odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32));
  return _mm512_mask_blend_epi32(0xAAAA, even, odd);
}
inline I LaneNumbers() { return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }

// --- memory; `count` of 0 to 16 lanes are touched, the others read as zero ---

inline M FirstLanes(int64_t count) { return static_cast<M>(count >= 16 ? 0xFFFFu : (1u << count) - 1u); }
inline F Load(const float* p) { return _mm512_loadu_ps(p); }
inline F LoadFirst(const float* p, int64_t count) { return _mm512_maskz_loadu_ps(FirstLanes(count), p); }
inline F LoadFirstOr(const float* p, int64_t count, float other) { return _mm512_mask_loadu_ps(Splat(other), FirstLanes(count), p); }
inline void Store(float* p, F a) { _mm512_storeu_ps(p, a); }
inline void StoreFirst(float* p, F a, int64_t count) { _mm512_mask_storeu_ps(p, FirstLanes(count), a); }
inline F Widen(__m256i bf16) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bf16), 16)); }
inline F LoadBf16(const uint16_t* p) { return Widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
inline F LoadBf16First(const uint16_t* p, int64_t count) { return Widen(_mm256_maskz_loadu_epi16(FirstLanes(count), p)); }

// To nearest, ties to even; denormals become zero, NaN stays NaN: ToBFloat16() of base/dtype.h in every bit.
inline I RoundToBf16Bits(F a) {
  const I bits = Bits(a);
  const I odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const I rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF))), 16);
  const I truncated = _mm512_srli_epi32(bits, 16);
  const M tiny = _mm512_testn_epi32_mask(bits, _mm512_set1_epi32(0x7F800000));
  const I flushed = _mm512_mask_and_epi32(rounded, tiny, truncated, _mm512_set1_epi32(0x8000));
  return _mm512_mask_or_epi32(flushed, IsNan(a), truncated, _mm512_set1_epi32(0x0040));
}
inline __m256i RoundToBf16(F a) { return _mm512_cvtepi32_epi16(RoundToBf16Bits(a)); }
inline void StoreBf16(uint16_t* p, F a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), RoundToBf16(a)); }
inline void StoreBf16First(uint16_t* p, F a, int64_t count) { _mm256_mask_storeu_epi16(p, FirstLanes(count), RoundToBf16(a)); }
// The value after rounding to bfloat16, still as float32.
inline F ThroughBf16(F a) { return FromBits(_mm512_slli_epi32(RoundToBf16Bits(a), 16)); }

inline uint32_t MaskBits(M m) { return m; }

// The tree that ends every 16-lane sum: lane l += lane l + 8, then + 4, + 2, + 1.
inline float SumTree(F a) {
  a = Add(a, _mm512_shuffle_f32x4(a, a, _MM_SHUFFLE(1, 0, 3, 2)));
  a = Add(a, _mm512_shuffle_f32x4(a, a, _MM_SHUFFLE(2, 3, 0, 1)));
  a = Add(a, _mm512_permute_ps(a, _MM_SHUFFLE(1, 0, 3, 2)));
  a = Add(a, _mm512_permute_ps(a, _MM_SHUFFLE(2, 3, 0, 1)));
  return _mm512_cvtss_f32(a);
}

// Thirty-two numbers of pairs (a, b) apart: even elements, odd elements; and together again.
inline void Unzip(F low, F high, F* even, F* odd) {
  const I e = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const I o = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  *even = _mm512_permutex2var_ps(low, e, high);
  *odd = _mm512_permutex2var_ps(low, o, high);
}
inline void Zip(F even, F odd, F* low, F* high) {
  const I l = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const I h = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  *low = _mm512_permutex2var_ps(even, l, odd);
  *high = _mm512_permutex2var_ps(even, h, odd);
}

// rows[i] lane j becomes rows[j] lane i.
inline void Transpose(F* rows) {
  I t[16], u[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(Bits(rows[i]), Bits(rows[i + 1]));
    t[i + 1] = _mm512_unpackhi_epi32(Bits(rows[i]), Bits(rows[i + 1]));
  }
  for (int i = 0; i < 16; i += 4) {   // now 4 x 4 blocks within each 128 bits
    u[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    u[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    u[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    u[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    const I low0 = _mm512_shuffle_i32x4(u[i], u[i + 4], 0x88), high0 = _mm512_shuffle_i32x4(u[i], u[i + 4], 0xDD);
    const I low1 = _mm512_shuffle_i32x4(u[i + 8], u[i + 12], 0x88), high1 = _mm512_shuffle_i32x4(u[i + 8], u[i + 12], 0xDD);
    rows[i] = FromBits(_mm512_shuffle_i32x4(low0, low1, 0x88));
    rows[i + 4] = FromBits(_mm512_shuffle_i32x4(high0, high1, 0x88));
    rows[i + 8] = FromBits(_mm512_shuffle_i32x4(low0, low1, 0xDD));
    rows[i + 12] = FromBits(_mm512_shuffle_i32x4(high0, high1, 0xDD));
  }
}

}  // namespace
}  // namespace atoll::kernels
