#pragma once

// Sixteen lanes of float32 in two AVX2 registers: see lanes_scalar.h. Only for files compiled with AVX2, FMA and F16C.

#include <immintrin.h>

#include <cstdint>

namespace atoll::kernels {
namespace {

struct F { __m256 a, b; };
struct I { __m256i a, b; };
struct M { __m256 a, b; };
inline constexpr int kRegistersPerF = 2;

inline F Splat(float value) { return {_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
inline I SplatInt(int32_t value) { return {_mm256_set1_epi32(value), _mm256_set1_epi32(value)}; }
inline F Add(F x, F y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
inline F Sub(F x, F y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
inline F Mul(F x, F y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
inline F Div(F x, F y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
inline F Fma(F x, F y, F z) { return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)}; }
inline F Min(F x, F y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
inline F Max(F x, F y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
inline M Less(F x, F y) { return {_mm256_cmp_ps(x.a, y.a, _CMP_LT_OQ), _mm256_cmp_ps(x.b, y.b, _CMP_LT_OQ)}; }
inline M Equal(F x, F y) { return {_mm256_cmp_ps(x.a, y.a, _CMP_EQ_OQ), _mm256_cmp_ps(x.b, y.b, _CMP_EQ_OQ)}; }
inline M IsNan(F x) { return {_mm256_cmp_ps(x.a, x.a, _CMP_UNORD_Q), _mm256_cmp_ps(x.b, x.b, _CMP_UNORD_Q)}; }
inline F Select(M m, F yes, F no) { return {_mm256_blendv_ps(no.a, yes.a, m.a), _mm256_blendv_ps(no.b, yes.b, m.b)}; }
inline I Truncate(F x) { return {_mm256_cvttps_epi32(x.a), _mm256_cvttps_epi32(x.b)}; }
inline F ToFloats(I x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
inline I Bits(F x) { return {_mm256_castps_si256(x.a), _mm256_castps_si256(x.b)}; }
inline F FromBits(I x) { return {_mm256_castsi256_ps(x.a), _mm256_castsi256_ps(x.b)}; }
inline I AddInt(I x, I y) { return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
inline I SubInt(I x, I y) { return {_mm256_sub_epi32(x.a, y.a), _mm256_sub_epi32(x.b, y.b)}; }
inline I And(I x, I y) { return {_mm256_and_si256(x.a, y.a), _mm256_and_si256(x.b, y.b)}; }
inline I Or(I x, I y) { return {_mm256_or_si256(x.a, y.a), _mm256_or_si256(x.b, y.b)}; }
inline I Xor(I x, I y) { return {_mm256_xor_si256(x.a, y.a), _mm256_xor_si256(x.b, y.b)}; }
template <int kBits>
inline I ShiftLeft(I x) { return {_mm256_slli_epi32(x.a, kBits), _mm256_slli_epi32(x.b, kBits)}; }
template <int kBits>
inline I ShiftRight(I x) { return {_mm256_srai_epi32(x.a, kBits), _mm256_srai_epi32(x.b, kBits)}; }
inline M EqualInt(I x, I y) {
  return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(x.a, y.a)), _mm256_castsi256_ps(_mm256_cmpeq_epi32(x.b, y.b))};
}
inline I MulLow(I x, I y) { return {_mm256_mullo_epi32(x.a, y.a), _mm256_mullo_epi32(x.b, y.b)}; }
inline __m256i MulHighHalf(__m256i x, __m256i y) {
  const __m256i even = _mm256_srli_epi64(_mm256_mul_epu32(x, y), 32);
  const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(x, 32), _mm256_srli_epi64(y, 32));
  return _mm256_blend_epi32(even, odd, 0xAA);
}
inline I MulHigh(I x, I y) { return {MulHighHalf(x.a, y.a), MulHighHalf(x.b, y.b)}; }   // unsigned
inline I LaneNumbers() { return {_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15)}; }

// --- memory; `count` of 0 to 16 lanes are touched, the others read as zero ---

inline I FirstLanes(int64_t count) {
  const __m256i n = _mm256_set1_epi32(static_cast<int32_t>(count));
  return {_mm256_cmpgt_epi32(n, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)),
          _mm256_cmpgt_epi32(n, _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15))};
}
inline F Load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline F LoadFirst(const float* p, int64_t count) {
  const I m = FirstLanes(count);
  return {_mm256_maskload_ps(p, m.a), _mm256_maskload_ps(p + 8, m.b)};
}
inline F LoadFirstOr(const float* p, int64_t count, float other) {
  const I m = FirstLanes(count);
  const F x = {_mm256_maskload_ps(p, m.a), _mm256_maskload_ps(p + 8, m.b)};
  return Select({_mm256_castsi256_ps(m.a), _mm256_castsi256_ps(m.b)}, x, Splat(other));
}
inline void Store(float* p, F x) {
  _mm256_storeu_ps(p, x.a);
  _mm256_storeu_ps(p + 8, x.b);
}
inline void StoreFirst(float* p, F x, int64_t count) {
  const I m = FirstLanes(count);
  _mm256_maskstore_ps(p, m.a, x.a);
  _mm256_maskstore_ps(p + 8, m.b, x.b);
}
inline __m256 WidenHalf(__m128i bf16) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bf16), 16)); }
inline F LoadBf16(const uint16_t* p) {
  const __m128i* v = reinterpret_cast<const __m128i*>(p);
  return {WidenHalf(_mm_loadu_si128(v)), WidenHalf(_mm_loadu_si128(v + 1))};
}
inline F LoadBf16First(const uint16_t* p, int64_t count) {  // AVX2 has no masked 16-bit load
  alignas(32) uint16_t lanes[16] = {};
  for (int64_t i = 0; i < count; ++i) lanes[i] = p[i];
  return LoadBf16(lanes);
}

// To nearest, ties to even; denormals become zero, NaN stays NaN: ToBFloat16() of base/dtype.h in every bit.
inline __m256i RoundHalf(__m256 x) {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i truncated = _mm256_srli_epi32(bits, 16);
  const __m256i odd = _mm256_and_si256(truncated, _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF))), 16);
  const __m256i exponent = _mm256_and_si256(bits, _mm256_set1_epi32(0x7F800000));
  const __m256i tiny = _mm256_cmpeq_epi32(exponent, _mm256_setzero_si256());
  const __m256i zero = _mm256_and_si256(truncated, _mm256_set1_epi32(0x8000));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  const __m256i quiet = _mm256_or_si256(truncated, _mm256_set1_epi32(0x0040));
  return _mm256_blendv_epi8(_mm256_blendv_epi8(rounded, zero, tiny), quiet, nan);
}
inline I RoundToBf16Bits(F x) { return {RoundHalf(x.a), RoundHalf(x.b)}; }
inline void StoreBf16(uint16_t* p, F x) {
  const I r = RoundToBf16Bits(x);
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(r.a, r.b), _MM_SHUFFLE(3, 1, 2, 0));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), packed);
}
inline void StoreBf16First(uint16_t* p, F x, int64_t count) {
  alignas(32) uint16_t lanes[16];
  StoreBf16(lanes, x);
  for (int64_t i = 0; i < count && i < 16; ++i) p[i] = lanes[i];
}
// The value after rounding to bfloat16, still as float32.
inline F ThroughBf16(F x) { return FromBits(ShiftLeft<16>(RoundToBf16Bits(x))); }

inline uint32_t MaskBits(M m) {
  return static_cast<uint32_t>(_mm256_movemask_ps(m.a)) | static_cast<uint32_t>(_mm256_movemask_ps(m.b)) << 8;
}

// The tree that ends every 16-lane sum: lane l += lane l + 8, then + 4, + 2, + 1.
inline float SumTree(F x) {
  const __m256 eight = _mm256_add_ps(x.a, x.b);
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

// Thirty-two numbers of pairs (a, b) apart: even elements, odd elements; and together again.
inline __m256 EvenOf(__m256 x, __m256 y) {
  const __m256 mixed = _mm256_shuffle_ps(x, y, _MM_SHUFFLE(2, 0, 2, 0));
  return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(mixed), _MM_SHUFFLE(3, 1, 2, 0)));
}
inline __m256 OddOf(__m256 x, __m256 y) {
  const __m256 mixed = _mm256_shuffle_ps(x, y, _MM_SHUFFLE(3, 1, 3, 1));
  return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(mixed), _MM_SHUFFLE(3, 1, 2, 0)));
}
inline void Unzip(F low, F high, F* even, F* odd) {
  *even = {EvenOf(low.a, low.b), EvenOf(high.a, high.b)};
  *odd = {OddOf(low.a, low.b), OddOf(high.a, high.b)};
}
inline F ZipHalf(__m256 even, __m256 odd) {
  const __m256 low = _mm256_unpacklo_ps(even, odd);
  const __m256 high = _mm256_unpackhi_ps(even, odd);
  return {_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31)};
}
inline void Zip(F even, F odd, F* low, F* high) {
  *low = ZipHalf(even.a, odd.a);
  *high = ZipHalf(even.b, odd.b);
}

inline void TransposeEight(__m256* r) {
  __m256 t[8], u[8];
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    u[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    u[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xEE);
    u[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    u[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xEE);
  }
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x20);
    r[i + 4] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x31);
  }
}

// rows[i] lane j becomes rows[j] lane i.
inline void Transpose(F* rows) {
  __m256 corner[4][8];   // rows 0-7 and 8-15, columns 0-7 and 8-15
  for (int i = 0; i < 8; ++i) {
    corner[0][i] = rows[i].a;
    corner[1][i] = rows[i].b;
    corner[2][i] = rows[i + 8].a;
    corner[3][i] = rows[i + 8].b;
  }
  for (auto& block : corner) TransposeEight(block);
  for (int i = 0; i < 8; ++i) {
    rows[i] = {corner[0][i], corner[2][i]};
    rows[i + 8] = {corner[1][i], corner[3][i]};
  }
}

}  // namespace
}  // namespace atoll::kernels
