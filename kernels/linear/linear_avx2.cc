// AVX2 with FMA: a panel's 64 outputs are eight registers of 8 float32. The structure is that of avx512/; many rows take
// 16 outputs at a time, up to three rows 32 (12 accumulators either way, 2 or 4 weight registers, 1 broadcast). No inline function and no std:: (see panel.h).

#include <immintrin.h>

#include "kernels/linear/e4m3_tables.h"
#include "kernels/linear/panel.h"

namespace atoll::kernels {
namespace {

#define ATOLL_INLINE inline __attribute__((always_inline))
#define ATOLL_UNROLL _Pragma("GCC unroll 16")   // accumulators are arrays: only unrolled do they become registers

constexpr int kVectors = 8;           // of 8 outputs in a panel
constexpr int64_t kLanes = 64;
constexpr int64_t kScaleInputs = 128;
constexpr int64_t kBlockInputs = 64;  // of one decoded block: 16 KB of float32
constexpr int kGroupRowsMax = 6;

ATOLL_INLINE const char* RowOf(const PanelRun& run, int64_t row) {
  return run.x + (run.x_rows == nullptr ? row : run.x_rows[row]) * run.x_stride;
}

ATOLL_INLINE __m256 OddFloats(__m256i pairs) { return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(static_cast<int>(0xFFFF0000u)))); }
ATOLL_INLINE __m256 EvenFloats(__m256i pairs) { return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)); }

// ---- weights: 16 outputs of a pair at a time, in the order in which each type lies in memory ---------------------------------

ATOLL_INLINE __m256i Table(const uint8_t* bytes) { return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(bytes))); }

struct Fp8Weights {
  static constexpr bool kScaled = true;
  static constexpr int64_t kPairBytes = 128;
  __m256i high = Table(kE4M3Nibbles.high), fix_low = Table(kE4M3Nibbles.fix_low), fix_high = Table(kE4M3Nibbles.fix_high);

  // Which two vectors of 8 outputs a quarter of a pair holds.
  static constexpr int First(int quarter) { return quarter / 2 * 4 + quarter % 2; }
  static constexpr int Second(int quarter) { return First(quarter) + 2; }

  ATOLL_INLINE void Floats(const char* pair, int quarter, __m256 (&odd)[2], __m256 (&even)[2]) const {
    const __m256i codes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(pair + 32 * quarter));
    const __m256i index = _mm256_add_epi8(_mm256_and_si256(codes, _mm256_set1_epi8(0x7F)), _mm256_set1_epi8(0x78));
    const __m256i nibble = _mm256_and_si256(_mm256_srli_epi16(codes, 4), _mm256_set1_epi8(0x0F));
    const __m256i shifted = _mm256_and_si256(_mm256_slli_epi16(codes, 4), _mm256_set1_epi8(static_cast<char>(0xF0)));
    const __m256i low_bytes = _mm256_xor_si256(shifted, _mm256_shuffle_epi8(fix_low, index));
    const __m256i high_bytes = _mm256_xor_si256(_mm256_shuffle_epi8(high, nibble), _mm256_shuffle_epi8(fix_high, index));
    const __m256i first = _mm256_unpacklo_epi8(low_bytes, high_bytes), second = _mm256_unpackhi_epi8(low_bytes, high_bytes);
    odd[0] = OddFloats(first), odd[1] = OddFloats(second);
    even[0] = EvenFloats(first), even[1] = EvenFloats(second);
  }
};

struct Bf16Weights {
  static constexpr bool kScaled = false;
  static constexpr int64_t kPairBytes = 256;
  static constexpr int First(int quarter) { return 2 * quarter; }
  static constexpr int Second(int quarter) { return 2 * quarter + 1; }

  ATOLL_INLINE void Floats(const char* pair, int quarter, __m256 (&odd)[2], __m256 (&even)[2]) const {
    const __m256i* const at = reinterpret_cast<const __m256i*>(pair + 64 * quarter);
    const __m256i first = _mm256_loadu_si256(at), second = _mm256_loadu_si256(at + 1);
    odd[0] = OddFloats(first), odd[1] = OddFloats(second);
    even[0] = EvenFloats(first), even[1] = EvenFloats(second);
  }
};

struct F32Weights {
  static constexpr bool kScaled = false;
  static constexpr int64_t kPairBytes = 512;
  static constexpr int First(int quarter) { return 2 * quarter; }
  static constexpr int Second(int quarter) { return 2 * quarter + 1; }

  ATOLL_INLINE void Floats(const char* pair, int quarter, __m256 (&odd)[2], __m256 (&even)[2]) const {
    const float* const at = reinterpret_cast<const float*>(pair) + 16 * quarter;
    even[0] = _mm256_loadu_ps(at), even[1] = _mm256_loadu_ps(at + 8);
    odd[0] = _mm256_loadu_ps(at + kLanes), odd[1] = _mm256_loadu_ps(at + kLanes + 8);
  }
};

// ---- activations ------------------------------------------------------------------------------------------------------------

struct OddEven {
  __m256 odd, even;
};

struct Bf16Rows {
  static constexpr int64_t kBytes = 2;
  ATOLL_INLINE static OddEven Pair(const char* x, bool whole) {
    uint32_t word = 0;
    __builtin_memcpy(&word, x, whole ? 4 : 2);
    const __m256i pair = _mm256_set1_epi32(static_cast<int>(word));
    return {OddFloats(pair), EvenFloats(pair)};
  }
};

struct F32Rows {
  static constexpr int64_t kBytes = 4;
  ATOLL_INLINE static OddEven Pair(const char* x, bool whole) {
    float pair[2] = {0.0f, 0.0f};
    __builtin_memcpy(pair, x, whole ? 8 : 4);
    return {_mm256_set1_ps(pair[1]), _mm256_set1_ps(pair[0])};
  }
};

// Inputs of a row as float32, the odd element of each pair first; an odd count ends with a zero in the odd element's place.
template <typename X>
ATOLL_INLINE void Convert(const char* x, int64_t inputs, float* to) {
  const __m256i swap = _mm256_set_epi32(6, 7, 4, 5, 2, 3, 0, 1);
  int64_t i = 0;
  for (; i + 8 <= inputs; i += 8) {
    __m256i bits;
    if constexpr (X::kBytes == 2) {
      bits = _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x + 2 * i))), 16);
    } else {
      bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + 4 * i));
    }
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), _mm256_permutevar8x32_epi32(bits, swap));
  }
  for (; i < inputs; i += 2) {
    const OddEven pair = X::Pair(x + i * X::kBytes, i + 1 < inputs);
    to[i] = _mm256_cvtss_f32(pair.odd);
    to[i + 1] = _mm256_cvtss_f32(pair.even);
  }
}

// ---- results ----------------------------------------------------------------------------------------------------------------

// ToBFloat16 of base/dtype.h: nearest even, denormals to zero, NaN quiet.
ATOLL_INLINE __m128i RoundToBf16(__m256 value) {
  const __m256i bits = _mm256_castps_si256(value);
  const __m256i upper = _mm256_srli_epi32(bits, 16);
  const __m256i odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
  __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF))), 16);
  const __m256i tiny = _mm256_cmpeq_epi32(_mm256_and_si256(bits, _mm256_set1_epi32(0x7F800000)), _mm256_setzero_si256());
  rounded = _mm256_blendv_epi8(rounded, _mm256_and_si256(upper, _mm256_set1_epi32(0x8000)), tiny);
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(value, value, _CMP_UNORD_Q));
  rounded = _mm256_blendv_epi8(rounded, _mm256_or_si256(upper, _mm256_set1_epi32(0x40)), nan);
  const __m256i packed = _mm256_packus_epi32(rounded, rounded);
  return _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08));
}

ATOLL_INLINE void StoreRow(const PanelRun& run, int64_t row, const float* value) {
  char* const y = run.y + row * run.y_stride;
  for (int v = 0; v < kVectors && 8 * v < run.width; ++v) {
    const int64_t left = run.width - 8 * v < 8 ? run.width - 8 * v : 8;
    const __m256 result = _mm256_load_ps(value + 8 * v);
    if (run.y_dtype == DType::kBF16) {
      const __m128i rounded = RoundToBf16(result);
      __builtin_memcpy(y + 16 * v, &rounded, 2 * left);
      continue;
    }
    const __m256i lane = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    const __m256i there = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(left)), lane);
    float* const to = reinterpret_cast<float*>(y) + 8 * v;
    _mm256_maskstore_ps(to, there, run.add ? _mm256_add_ps(_mm256_maskload_ps(to, there), result) : result);
  }
}

template <typename Weights>
ATOLL_INLINE int64_t BlockLength(const PanelRun& run, int64_t k) {
  const int64_t left = run.inputs - k;
  if (!Weights::kScaled) return left;
  const int64_t length = k == 0 && run.first_inputs > 0 ? run.first_inputs : kScaleInputs;
  return length < left ? length : left;
}

// ---- one row: stream --------------------------------------------------------------------------------------------------------

template <typename Weights, typename X>
ATOLL_INLINE void MultiplyPair(const Weights& weights, const char* pair, const char* x, bool whole, __m256 (&acc)[kVectors]) {
  const OddEven value = X::Pair(x, whole);
  ATOLL_UNROLL for (int quarter = 0; quarter < 4; ++quarter) {
    __m256 odd[2], even[2];
    weights.Floats(pair, quarter, odd, even);
    __m256& first = acc[Weights::First(quarter)];
    __m256& second = acc[Weights::Second(quarter)];
    first = _mm256_fmadd_ps(even[0], value.even, _mm256_fmadd_ps(odd[0], value.odd, first));
    second = _mm256_fmadd_ps(even[1], value.even, _mm256_fmadd_ps(odd[1], value.odd, second));
  }
}

template <typename Weights, typename X>
void StreamRow(const PanelRun& run) {
  const Weights weights;
  alignas(32) float total[kLanes] = {};
  const char* const x = RowOf(run, 0);
  const char* pair = run.weights;
  for (int64_t k = 0, length = 0, block = 0; k < run.inputs; k += length, ++block) {
    length = BlockLength<Weights>(run, k);
    __m256 acc[kVectors];
    ATOLL_UNROLL for (int v = 0; v < kVectors; ++v) acc[v] = _mm256_setzero_ps();
    int64_t i = 0;
    for (; i + 1 < length; i += 2, pair += Weights::kPairBytes) MultiplyPair<Weights, X>(weights, pair, x + (k + i) * X::kBytes, true, acc);
    if (i < length) {
      MultiplyPair<Weights, X>(weights, pair, x + (k + i) * X::kBytes, false, acc);
      pair += Weights::kPairBytes;
    }
    ATOLL_UNROLL for (int v = 0; v < kVectors; ++v) {
      const __m256 sum = Weights::kScaled ? _mm256_fmadd_ps(_mm256_set1_ps(run.scales[block]), acc[v], _mm256_load_ps(total + 8 * v)) : acc[v];
      _mm256_store_ps(total + 8 * v, sum);
    }
  }
  StoreRow(run, 0, total);
}

// ---- many rows: tiles -------------------------------------------------------------------------------------------------------

struct TileStep {
  bool from_zero = true;   // else from `acc`
  bool scaled = false;     // total = fma(scale, acc, total); else the accumulators go to `acc`
  float scale = 0.0f;
  float* acc = nullptr;    // [rows of the group, 64]
  float* total = nullptr;
};

struct alignas(64) Scratch {
  float weights[kBlockInputs * kLanes];       // [inputs in the order of use, 64]
  float x[kGroupRowsMax * kBlockInputs];      // [rows, inputs in the order of use]
  float acc[kPanelRowsMax * kLanes];
  float total[kPanelRowsMax * kLanes];
};

// Outputs lane .. lane + 8 V - 1 of one group of rows.
template <int R, int V>
void Tile(const float* weights, const float* x, int64_t inputs, int64_t lane, const TileStep& step) {
  __m256 acc[R][V];
  ATOLL_UNROLL for (int r = 0; r < R; ++r) {
    ATOLL_UNROLL for (int v = 0; v < V; ++v) acc[r][v] = step.from_zero ? _mm256_setzero_ps() : _mm256_load_ps(step.acc + r * kLanes + lane + 8 * v);
  }
  for (int64_t i = 0; i < inputs; ++i) {
    __m256 w[V];
    ATOLL_UNROLL for (int v = 0; v < V; ++v) w[v] = _mm256_load_ps(weights + i * kLanes + lane + 8 * v);
    ATOLL_UNROLL for (int r = 0; r < R; ++r) {
      const __m256 value = _mm256_broadcast_ss(x + r * kBlockInputs + i);
      ATOLL_UNROLL for (int v = 0; v < V; ++v) acc[r][v] = _mm256_fmadd_ps(w[v], value, acc[r][v]);
    }
  }
  ATOLL_UNROLL for (int r = 0; r < R; ++r) {
    ATOLL_UNROLL for (int v = 0; v < V; ++v) {
      float* const total = step.total + r * kLanes + lane + 8 * v;
      if (step.scaled) {
        _mm256_store_ps(total, _mm256_fmadd_ps(_mm256_set1_ps(step.scale), acc[r][v], _mm256_load_ps(total)));
      } else {
        _mm256_store_ps(step.acc + r * kLanes + lane + 8 * v, acc[r][v]);
      }
    }
  }
}

template <int R>
void TileRow(const Scratch& scratch, int64_t inputs, const TileStep& step) {
  constexpr int kTileVectors = R <= 3 ? 4 : 2;
  for (int64_t lane = 0; lane < kLanes; lane += 8 * kTileVectors) Tile<R, kTileVectors>(scratch.weights, scratch.x, inputs, lane, step);
}

ATOLL_INLINE void TilesOf(int rows, const Scratch& scratch, int64_t inputs, const TileStep& step) {
  switch (rows) {
    case 1: return TileRow<1>(scratch, inputs, step);
    case 2: return TileRow<2>(scratch, inputs, step);
    case 3: return TileRow<3>(scratch, inputs, step);
    case 4: return TileRow<4>(scratch, inputs, step);
    case 5: return TileRow<5>(scratch, inputs, step);
    default: return TileRow<6>(scratch, inputs, step);
  }
}

template <typename Weights>
ATOLL_INLINE void DecodeFloats(const Weights& weights, const char* pair, int64_t pairs, float* to) {
  for (int64_t p = 0; p < pairs; ++p, pair += Weights::kPairBytes, to += 2 * kLanes) {
    ATOLL_UNROLL for (int quarter = 0; quarter < 4; ++quarter) {
      __m256 odd[2], even[2];
      weights.Floats(pair, quarter, odd, even);
      _mm256_store_ps(to + 8 * Weights::First(quarter), odd[0]);
      _mm256_store_ps(to + 8 * Weights::Second(quarter), odd[1]);
      _mm256_store_ps(to + kLanes + 8 * Weights::First(quarter), even[0]);
      _mm256_store_ps(to + kLanes + 8 * Weights::Second(quarter), even[1]);
    }
  }
}

template <typename Weights, typename X>
void ManyRows(const PanelRun& run) {
  Scratch scratch;
  const Weights weights;
  const char* pair = run.weights;
  float* const result = Weights::kScaled ? scratch.total : scratch.acc;
  __builtin_memset(result, 0, run.rows * kLanes * sizeof(float));
  const int64_t groups = (run.rows + kGroupRowsMax - 1) / kGroupRowsMax;
  for (int64_t k = 0, length = 0, block = 0; k < run.inputs; k += length, ++block) {
    length = BlockLength<Weights>(run, k);
    for (int64_t i = 0; i < length; i += kBlockInputs) {
      const int64_t inputs = length - i < kBlockInputs ? length - i : kBlockInputs;
      const int64_t pairs = (inputs + 1) / 2;
      DecodeFloats(weights, pair, pairs, scratch.weights);
      pair += pairs * Weights::kPairBytes;
      for (int64_t group = 0; group < groups; ++group) {
        const int64_t row0 = run.rows * group / groups, row1 = run.rows * (group + 1) / groups;
        for (int64_t row = row0; row < row1; ++row) Convert<X>(RowOf(run, row) + (k + i) * X::kBytes, inputs, scratch.x + (row - row0) * kBlockInputs);
        const TileStep step{.from_zero = Weights::kScaled && i == 0, .scaled = Weights::kScaled && i + inputs == length,
                            .scale = Weights::kScaled ? run.scales[block] : 0.0f,
                            .acc = scratch.acc + row0 * kLanes, .total = scratch.total + row0 * kLanes};
        TilesOf(static_cast<int>(row1 - row0), scratch, 2 * pairs, step);
      }
    }
  }
  for (int64_t row = 0; row < run.rows; ++row) StoreRow(run, row, result + row * kLanes);
}

template <typename Weights, typename X>
void Panel(const PanelRun& run) {
  if (run.rows == 1) return StreamRow<Weights, X>(run);
  ManyRows<Weights, X>(run);
}

template <typename X>
void PanelOf(const PanelRun& run) {
  switch (run.weight_dtype) {
    case DType::kBF16: return Panel<Bf16Weights, X>(run);
    case DType::kF32: return Panel<F32Weights, X>(run);
    default: return Panel<Fp8Weights, X>(run);
  }
}

}  // namespace

void PanelAvx2(const PanelRun& run) {
  if (run.x_dtype == DType::kBF16) return PanelOf<Bf16Rows>(run);
  PanelOf<F32Rows>(run);
}

}  // namespace atoll::kernels
