// Included by the AVX-512 files of linear only, each of which gets its own copy in an unnamed namespace: what is compiled
// there must not be what the linker keeps for code that runs on every host. No #pragma once, no inline function, no std::.
//
// One panel has 64 outputs: four registers of 16 float32 accumulators per row. Few rows: the weights stream through registers
// once, decoded on the way (above four rows in two passes, over the first and the second 32 outputs of each pair). Many rows: a block of weights is decoded into the first-level cache and used by groups of up to
// six rows (24 accumulators, 4 weight registers, 1 broadcast). Both run the order of linear.h, so they agree in every bit.

#include <immintrin.h>

#include "kernels/linear/e4m3_tables.h"
#include "kernels/linear/panel.h"

namespace atoll::kernels {
namespace {

constexpr int kVectors = 4;           // of 16 outputs in a panel
constexpr int64_t kLanes = 64;
constexpr int64_t kScaleInputs = 128;
constexpr int kGroupRowsMax = 6;

#define ATOLL_INLINE inline __attribute__((always_inline))
#define ATOLL_UNROLL _Pragma("GCC unroll 16")   // accumulators are arrays: only unrolled do they become registers

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

ATOLL_INLINE const char* RowOf(const PanelRun& run, int64_t row) {
  return run.x + (run.x_rows == nullptr ? row : run.x_rows[row]) * run.x_stride;
}

ATOLL_INLINE __m512 OddFloats(__m512i pairs) { return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xFFFF0000u)))); }
ATOLL_INLINE __m512 EvenFloats(__m512i pairs) { return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)); }

// ---- weights: pairs as bf16 (low half of a lane the even element), or as float32 (odd, even) -------------------------------

struct NibbleDecoder {   // 13 byte operations for 64 codes
  __m512i high = _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(kE4M3Nibbles.high)));
  __m512i fix_low = _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(kE4M3Nibbles.fix_low)));
  __m512i fix_high = _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(kE4M3Nibbles.fix_high)));

  ATOLL_INLINE void Bytes(__m512i codes, __m512i& low_bytes, __m512i& high_bytes) const {
    const __m512i index = _mm512_add_epi8(_mm512_and_si512(codes, _mm512_set1_epi8(0x7F)), _mm512_set1_epi8(0x78));
    const __m512i nibble = _mm512_and_si512(_mm512_srli_epi16(codes, 4), _mm512_set1_epi8(0x0F));
    const __m512i shifted = _mm512_and_si512(_mm512_slli_epi16(codes, 4), _mm512_set1_epi8(static_cast<char>(0xF0)));
    low_bytes = _mm512_xor_si512(shifted, _mm512_shuffle_epi8(fix_low, index));
    high_bytes = _mm512_xor_si512(_mm512_shuffle_epi8(high, nibble), _mm512_shuffle_epi8(fix_high, index));
  }
};

template <typename Decoder>
struct Fp8Weights {
  static constexpr bool kScaled = true;
  static constexpr int64_t kPairBytes = 128;
  Decoder decoder;

  // Pairs of outputs 32 half + 0..15 and 32 half + 16..31.
  ATOLL_INLINE void Pairs(const char* pair, int half, __m512i& first, __m512i& second) const {
    __m512i low, high;
    decoder.Bytes(_mm512_loadu_si512(pair + 64 * half), low, high);
    first = _mm512_unpacklo_epi8(low, high);
    second = _mm512_unpackhi_epi8(low, high);
  }
  ATOLL_INLINE void Floats(const char* pair, int half, __m512 (&odd)[2], __m512 (&even)[2]) const {
    __m512i first, second;
    Pairs(pair, half, first, second);
    odd[0] = OddFloats(first), odd[1] = OddFloats(second);
    even[0] = EvenFloats(first), even[1] = EvenFloats(second);
  }
};

struct Bf16Weights {
  static constexpr bool kScaled = false;
  static constexpr int64_t kPairBytes = 256;

  ATOLL_INLINE void Pairs(const char* pair, int half, __m512i& first, __m512i& second) const {
    first = _mm512_loadu_si512(pair + 128 * half);
    second = _mm512_loadu_si512(pair + 128 * half + 64);
  }
  ATOLL_INLINE void Floats(const char* pair, int half, __m512 (&odd)[2], __m512 (&even)[2]) const {
    __m512i first, second;
    Pairs(pair, half, first, second);
    odd[0] = OddFloats(first), odd[1] = OddFloats(second);
    even[0] = EvenFloats(first), even[1] = EvenFloats(second);
  }
};

struct F32Weights {
  static constexpr bool kScaled = false;
  static constexpr int64_t kPairBytes = 512;

  ATOLL_INLINE void Floats(const char* pair, int half, __m512 (&odd)[2], __m512 (&even)[2]) const {
    const float* const at = reinterpret_cast<const float*>(pair) + 32 * half;
    even[0] = _mm512_loadu_ps(at), even[1] = _mm512_loadu_ps(at + 16);
    odd[0] = _mm512_loadu_ps(at + kLanes), odd[1] = _mm512_loadu_ps(at + kLanes + 16);
  }
};

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

// Inputs of the k block that begins at k.
template <typename Weights>
ATOLL_INLINE int64_t BlockLength(const PanelRun& run, int64_t k) {
  const int64_t left = run.inputs - k;
  if (!Weights::kScaled) return left;
  const int64_t length = k == 0 && run.first_inputs > 0 ? run.first_inputs : kScaleInputs;
  return length < left ? length : left;
}

// ---- few rows: stream -------------------------------------------------------------------------------------------------------

// Multiply-add with FMA: the two steps of a pair one after the other.
template <typename WeightsT, typename X>
struct FmaForm {
  using Weights = WeightsT;
  static constexpr int64_t kXBytes = X::kBytes;

  // R rows times the outputs of H halves from `half0` on.
  template <int R, int H>
  ATOLL_INLINE static void Pair(const Weights& weights, const char* pair, int half0, const char* const (&x)[R], int64_t k, bool whole,
                                __m512 (&acc)[R][2 * H]) {
    OddEven value[R];
    ATOLL_UNROLL for (int r = 0; r < R; ++r) value[r] = X::Pair(x[r] + k * kXBytes, whole);
    ATOLL_UNROLL for (int half = 0; half < H; ++half) {
      __m512 odd[2], even[2];
      weights.Floats(pair, half0 + half, odd, even);
      ATOLL_UNROLL for (int r = 0; r < R; ++r) {
        ATOLL_UNROLL for (int v = 0; v < 2; ++v) {
          acc[r][2 * half + v] = _mm512_fmadd_ps(odd[v], value[r].odd, acc[r][2 * half + v]);
          acc[r][2 * half + v] = _mm512_fmadd_ps(even[v], value[r].even, acc[r][2 * half + v]);
        }
      }
    }
  }
};

// Where the arithmetic outweighs the reads, the core no longer looks far enough ahead to hide the hardware prefetcher's stop at
// every 4 KB (8 rows: half the speed); below, the reads alone keep memory busy and prefetching only costs.
constexpr int kPrefetchRows = 5;
constexpr int64_t kPrefetchPairs = 32;

// Streams prefetch into the first-level cache, tiles, which have their block there already, into the second.
template <int Lines, _mm_hint Hint>
ATOLL_INLINE void Prefetch(const char* from) {
  ATOLL_UNROLL for (int line = 0; line < Lines; ++line) _mm_prefetch(from + 64 * line, Hint);
}

// H halves of the panel (32 outputs each) from `half0` on, for R rows: R * 2 H accumulators.
template <typename Form, int R, int H>
void StreamRows(const PanelRun& run, int half0) {
  constexpr int kVectors = 2 * H;
  using Weights = typename Form::Weights;
  const Weights weights;
  const char* x[R];
  ATOLL_UNROLL for (int r = 0; r < R; ++r) x[r] = RowOf(run, r);
  const char* pair = run.weights;
  __m512 total[R][kVectors];
  ATOLL_UNROLL for (int r = 0; r < R; ++r) {
    ATOLL_UNROLL for (int v = 0; v < kVectors; ++v) total[r][v] = _mm512_setzero_ps();
  }
  for (int64_t k = 0, length = 0, block = 0; k < run.inputs; k += length, ++block) {
    length = BlockLength<Weights>(run, k);
    __m512 acc[R][kVectors];
    ATOLL_UNROLL for (int r = 0; r < R; ++r) {
      ATOLL_UNROLL for (int v = 0; v < kVectors; ++v) acc[r][v] = _mm512_setzero_ps();
    }
    int64_t i = 0;
    for (; i + 1 < length; i += 2, pair += Weights::kPairBytes) {
      if (R >= kPrefetchRows) Prefetch<Weights::kPairBytes / 64, _MM_HINT_T0>(pair + kPrefetchPairs * Weights::kPairBytes);
      Form::template Pair<R, H>(weights, pair, half0, x, k + i, true, acc);
    }
    if (i < length) {
      Form::template Pair<R, H>(weights, pair, half0, x, k + i, false, acc);
      pair += Weights::kPairBytes;
    }
    const __m512 scale = _mm512_set1_ps(Weights::kScaled ? run.scales[block] : 0.0f);
    ATOLL_UNROLL for (int r = 0; r < R; ++r) {
      ATOLL_UNROLL for (int v = 0; v < kVectors; ++v) total[r][v] = Weights::kScaled ? _mm512_fmadd_ps(scale, acc[r][v], total[r][v]) : acc[r][v];
    }
  }
  ATOLL_UNROLL for (int r = 0; r < R; ++r) StoreRow(run, r, 32 * half0, total[r]);
}

// ---- many rows: tiles -------------------------------------------------------------------------------------------------------

// How one group of rows meets one decoded block: where its accumulators come from and where they go.
struct TileStep {
  bool from_zero = true;         // else from `acc`
  bool scaled = false;           // total = fma(scale, acc, total); else the accumulators go to `acc`
  float scale = 0.0f;
  float* acc = nullptr;          // [rows of the group, 64]
  float* total = nullptr;        // likewise
};

template <int R>
ATOLL_INLINE void BeginTile(const TileStep& step, __m512 (&acc)[R][kVectors]) {
  ATOLL_UNROLL for (int r = 0; r < R; ++r) {
    ATOLL_UNROLL for (int v = 0; v < kVectors; ++v) acc[r][v] = step.from_zero ? _mm512_setzero_ps() : _mm512_load_ps(step.acc + r * kLanes + 16 * v);
  }
}

template <int R>
ATOLL_INLINE void EndTile(const TileStep& step, const __m512 (&acc)[R][kVectors]) {
  ATOLL_UNROLL for (int r = 0; r < R; ++r) {
    ATOLL_UNROLL for (int v = 0; v < kVectors; ++v) {
      float* const total = step.total + r * kLanes + 16 * v;
      if (step.scaled) {
        _mm512_store_ps(total, _mm512_fmadd_ps(_mm512_set1_ps(step.scale), acc[r][v], _mm512_load_ps(total)));
      } else {
        _mm512_store_ps(step.acc + r * kLanes + 16 * v, acc[r][v]);
      }
    }
  }
}

constexpr int64_t kFmaInputs = 64;   // of one decoded block: 64 x 64 float32 are half of a 32 KB cache

struct alignas(64) FmaScratch {
  float weights[kFmaInputs * kLanes];       // [inputs in the order of use, 64]
  float x[kGroupRowsMax * kFmaInputs];      // [rows, inputs in the order of use]
  float acc[kPanelRowsMax * kLanes];
  float total[kPanelRowsMax * kLanes];
};

// `ahead`: if not null, the packed weights of the next block, of which each input's share is fetched meanwhile.
template <typename Weights, int R>
void FmaTile(const float* weights, const float* x, int64_t inputs, const char* ahead, const TileStep& step) {
  __m512 acc[R][kVectors];
  BeginTile<R>(step, acc);
  for (int64_t i = 0; i < inputs; ++i, weights += kLanes) {
    if (ahead != nullptr) Prefetch<Weights::kPairBytes / 128, _MM_HINT_T1>(ahead + i * Weights::kPairBytes / 2);
    __m512 w[kVectors];
    ATOLL_UNROLL for (int v = 0; v < kVectors; ++v) w[v] = _mm512_load_ps(weights + 16 * v);
    ATOLL_UNROLL for (int r = 0; r < R; ++r) {
      const __m512 value = _mm512_set1_ps(x[r * kFmaInputs + i]);
      ATOLL_UNROLL for (int v = 0; v < kVectors; ++v) acc[r][v] = _mm512_fmadd_ps(w[v], value, acc[r][v]);
    }
  }
  EndTile<R>(step, acc);
}

template <typename Weights>
ATOLL_INLINE void FmaTileOf(int rows, const FmaScratch& scratch, int64_t inputs, const char* ahead, const TileStep& step) {
  switch (rows) {
    case 1: return FmaTile<Weights, 1>(scratch.weights, scratch.x, inputs, ahead, step);
    case 2: return FmaTile<Weights, 2>(scratch.weights, scratch.x, inputs, ahead, step);
    case 3: return FmaTile<Weights, 3>(scratch.weights, scratch.x, inputs, ahead, step);
    case 4: return FmaTile<Weights, 4>(scratch.weights, scratch.x, inputs, ahead, step);
    case 5: return FmaTile<Weights, 5>(scratch.weights, scratch.x, inputs, ahead, step);
    default: return FmaTile<Weights, 6>(scratch.weights, scratch.x, inputs, ahead, step);
  }
}

template <typename Weights>
ATOLL_INLINE void DecodeFloats(const Weights& weights, const char* pair, int64_t pairs, float* to) {
  for (int64_t p = 0; p < pairs; ++p, pair += Weights::kPairBytes, to += 2 * kLanes) {
    ATOLL_UNROLL for (int half = 0; half < 2; ++half) {
      __m512 odd[2], even[2];
      weights.Floats(pair, half, odd, even);
      ATOLL_UNROLL for (int v = 0; v < 2; ++v) {
        _mm512_store_ps(to + 32 * half + 16 * v, odd[v]);
        _mm512_store_ps(to + kLanes + 32 * half + 16 * v, even[v]);
      }
    }
  }
}

ATOLL_INLINE int64_t GroupCount(int64_t rows) { return (rows + kGroupRowsMax - 1) / kGroupRowsMax; }

template <typename Weights, typename X>
void FmaRows(const PanelRun& run) {
  FmaScratch scratch;
  const Weights weights;
  const char* pair = run.weights;
  float* const result = Weights::kScaled ? scratch.total : scratch.acc;
  __builtin_memset(result, 0, run.rows * kLanes * sizeof(float));
  const int64_t groups = GroupCount(run.rows);
  for (int64_t k = 0, length = 0, block = 0; k < run.inputs; k += length, ++block) {
    length = BlockLength<Weights>(run, k);
    for (int64_t i = 0; i < length; i += kFmaInputs) {
      const int64_t inputs = length - i < kFmaInputs ? length - i : kFmaInputs;
      const int64_t pairs = (inputs + 1) / 2;
      DecodeFloats(weights, pair, pairs, scratch.weights);
      pair += pairs * Weights::kPairBytes;
      for (int64_t group = 0; group < groups; ++group) {
        const int64_t row0 = run.rows * group / groups, row1 = run.rows * (group + 1) / groups;
        for (int64_t row = row0; row < row1; ++row) X::Convert(RowOf(run, row) + (k + i) * X::kBytes, inputs, scratch.x + (row - row0) * kFmaInputs);
        const TileStep step{.from_zero = Weights::kScaled && i == 0, .scaled = Weights::kScaled && i + inputs == length,
                            .scale = Weights::kScaled ? run.scales[block] : 0.0f,
                            .acc = scratch.acc + row0 * kLanes, .total = scratch.total + row0 * kLanes};
        FmaTileOf<Weights>(static_cast<int>(row1 - row0), scratch, 2 * pairs, group == 0 ? pair : nullptr, step);
      }
    }
  }
  for (int64_t row = 0; row < run.rows; ++row) {
    __m512 value[kVectors];
    ATOLL_UNROLL for (int v = 0; v < kVectors; ++v) value[v] = _mm512_load_ps(result + row * kLanes + 16 * v);
    StoreRow(run, row, 0, value);
  }
}

// ---- choice -----------------------------------------------------------------------------------------------------------------

template <typename Form, int R>
bool StreamHalves(const PanelRun& run) {
  StreamRows<Form, R, 1>(run, 0);
  if (run.width > kLanes / 2) StreamRows<Form, R, 1>(run, 1);
  return true;
}

// False: too many rows, they pay for tiles.
template <typename Form>
bool StreamFewRows(const PanelRun& run) {
  switch (run.rows) {
    case 1: return StreamRows<Form, 1, 2>(run, 0), true;
    case 2: return StreamRows<Form, 2, 2>(run, 0), true;
    case 3: return StreamRows<Form, 3, 2>(run, 0), true;
    case 4: return StreamRows<Form, 4, 2>(run, 0), true;
    case 5: return StreamHalves<Form, 5>(run);
    case 6: return StreamHalves<Form, 6>(run);
    case 7: return StreamHalves<Form, 7>(run);
    case 8: return StreamHalves<Form, 8>(run);
    case 9: return StreamHalves<Form, 9>(run);
    case 10: return StreamHalves<Form, 10>(run);
    default: return false;
  }
}

template <typename Weights, typename X>
void FmaPanel(const PanelRun& run) {
  if (!StreamFewRows<FmaForm<Weights, X>>(run)) FmaRows<Weights, X>(run);
}

template <typename Decoder, typename X>
void FmaPanelOf(const PanelRun& run) {
  switch (run.weight_dtype) {
    case DType::kBF16: return FmaPanel<Bf16Weights, X>(run);
    case DType::kF32: return FmaPanel<F32Weights, X>(run);
    default: return FmaPanel<Fp8Weights<Decoder>, X>(run);
  }
}

}  // namespace
}  // namespace atoll::kernels
