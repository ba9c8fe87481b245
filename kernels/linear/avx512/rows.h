// Rows going into a panel and results coming out.
// Included by the AVX-512 files of linear only, each of which gets its own copy in an unnamed namespace: what is compiled there
// must not be what the linker keeps for code that runs on every host. So no inline function and no std:: here.

#pragma once

#include "kernels/linear/avx512/weights.h"

namespace atoll::kernels {
namespace {

// ---- activations: one pair of one row in all lanes; `whole` false: the odd element is missing -------------------------------

struct OddEven {
  __m512 odd, even;
};

struct Bf16Rows {
  static constexpr int64_t kBytes = 2;
  ATOLL_INLINE static OddEven Pair(const char* x, bool whole) {
    const __m512i pair = _mm512_set1_epi32(whole ? LoadWord32(x) : LoadWord16(x));
    return {OddFloats(pair), EvenFloats(pair)};
  }
  // `pairs` pairs as float32, the odd element of each first.
  ATOLL_INLINE static void Convert(const char* x, int64_t inputs, float* to) {
    const __m512i swap = _mm512_set_epi32(14, 15, 12, 13, 10, 11, 8, 9, 6, 7, 4, 5, 2, 3, 0, 1);
    for (int64_t i = 0; i < inputs; i += 16) {
      const __mmask16 there = static_cast<__mmask16>(inputs - i >= 16 ? 0xFFFF : (1 << (inputs - i)) - 1);
      const __m512i wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(there, x + 2 * i));
      _mm512_storeu_si512(to + i, _mm512_permutexvar_epi32(swap, _mm512_slli_epi32(wide, 16)));
    }
  }
};

struct F32Rows {
  static constexpr int64_t kBytes = 4;
  ATOLL_INLINE static OddEven Pair(const char* x, bool whole) {
    const __m512 odd = whole ? _mm512_castsi512_ps(_mm512_set1_epi32(LoadWord32(x + 4))) : _mm512_setzero_ps();
    return {odd, _mm512_castsi512_ps(_mm512_set1_epi32(LoadWord32(x)))};
  }
  ATOLL_INLINE static void Convert(const char* x, int64_t inputs, float* to) {
    const __m512i swap = _mm512_set_epi32(14, 15, 12, 13, 10, 11, 8, 9, 6, 7, 4, 5, 2, 3, 0, 1);
    for (int64_t i = 0; i < inputs; i += 16) {
      const __mmask16 there = static_cast<__mmask16>(inputs - i >= 16 ? 0xFFFF : (1 << (inputs - i)) - 1);
      _mm512_storeu_si512(to + i, _mm512_permutexvar_epi32(swap, _mm512_maskz_loadu_epi32(there, x + 4 * i)));
    }
  }
};

// ---- results ----------------------------------------------------------------------------------------------------------------

// ToBFloat16 of base/dtype.h: nearest even, denormals to zero, NaN quiet.
ATOLL_INLINE __m256i RoundToBf16(__m512 value) {
  const __m512i bits = _mm512_castps_si512(value);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF))), 16);
  const __mmask16 tiny = _mm512_testn_epi32_mask(bits, _mm512_set1_epi32(0x7F800000));
  rounded = _mm512_mask_and_epi32(rounded, tiny, _mm512_srli_epi32(bits, 16), _mm512_set1_epi32(0x8000));
  const __mmask16 nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
  rounded = _mm512_mask_or_epi32(rounded, nan, _mm512_srli_epi32(bits, 16), _mm512_set1_epi32(0x40));
  return _mm512_cvtepi32_epi16(rounded);
}

// Outputs from `lane` on, 16 for each register.
template <int V>
ATOLL_INLINE void StoreRow(const PanelRun& run, int64_t row, int64_t lane, const __m512 (&value)[V]) {
  char* const y = run.y + row * run.y_stride + lane * (run.y_dtype == DType::kBF16 ? 2 : 4);
  ATOLL_UNROLL for (int v = 0; v < V; ++v) {
    const int64_t left = run.width - lane - 16 * v;
    if (left <= 0) return;
    const __mmask16 there = static_cast<__mmask16>(left >= 16 ? 0xFFFF : (1 << left) - 1);
    if (run.y_dtype == DType::kBF16) {
      _mm256_mask_storeu_epi16(y + 32 * v, there, RoundToBf16(value[v]));
    } else if (run.add) {
      _mm512_mask_storeu_ps(y + 64 * v, there, _mm512_add_ps(_mm512_maskz_loadu_ps(there, y + 64 * v), value[v]));
    } else {
      _mm512_mask_storeu_ps(y + 64 * v, there, value[v]);
    }
  }
}

// The same from memory: all 64 outputs.
ATOLL_INLINE void StoreRow(const PanelRun& run, int64_t row, const float* result) {
  __m512 value[kVectors];
  ATOLL_UNROLL for (int v = 0; v < kVectors; ++v) value[v] = _mm512_load_ps(result + 16 * v);
  StoreRow(run, row, 0, value);
}

}  // namespace
}  // namespace atoll::kernels
