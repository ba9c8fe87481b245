// AVX2 with FMA: a panel's 64 outputs are eight registers of 8 float32. Few rows decode weights on the way into the
// multiply-adds; more rows share a block that is decoded into the first-level cache. Either way at most 12 accumulators, in as many
// passes over a block's outputs as that takes. No inline function and no std:: (see panel.h).

#include <immintrin.h>

#include "kernels/linear/panel_blocks.h"

namespace atoll::kernels {
namespace {

constexpr int kVectors = 8;           // of 8 outputs in a panel

ATOLL_INLINE __m256 OddFloats(__m256i pairs) { return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(static_cast<int>(0xFFFF0000u)))); }
ATOLL_INLINE __m256 EvenFloats(__m256i pairs) { return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)); }

// ---- weights: 16 outputs of a pair at a time, in the order in which each type lies in memory ---------------------------------

ATOLL_INLINE __m256i Table(const uint8_t* bytes) { return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(bytes))); }

ATOLL_INLINE __m256i PutRareRight(__m256i words) {
  const __m256i which = _mm256_and_si256(_mm256_srli_epi16(words, 5), _mm256_set1_epi16(3));   // zero, whose bytes are zero, in each upper byte
  const __m256i low = _mm256_shuffle_epi8(Table(kE4M3Packing.rare_low), which), high = _mm256_shuffle_epi8(Table(kE4M3Packing.rare_high), which);
  const __m256i sign = _mm256_and_si256(words, _mm256_set1_epi16(static_cast<short>(0x8000)));
  const __m256i value = _mm256_or_si256(sign, _mm256_or_si256(low, _mm256_slli_epi16(high, 8)));
  const __m256i rare = _mm256_cmpeq_epi16(_mm256_and_si256(words, _mm256_set1_epi16(kRareWordMask)), _mm256_set1_epi16(kRareWordBits));
  return _mm256_blendv_epi8(words, value, rare);
}

struct Fp8Weights {
  static constexpr bool kScaled = true;
  static constexpr int64_t kPairBytes = 128;
  __m256i high = Table(kE4M3Packing.high);

  // Which two vectors of 8 outputs a quarter of a pair holds.
  static constexpr int First(int quarter) { return quarter / 2 * 4 + quarter % 2; }
  static constexpr int Second(int quarter) { return First(quarter) + 2; }

  ATOLL_INLINE void Floats(const PackedPair& pair, int quarter, __m256 (&odd)[2], __m256 (&even)[2]) const {
    const __m256i codes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(pair.at + 32 * quarter));
    const __m256i low_bytes = _mm256_and_si256(codes, _mm256_set1_epi8(static_cast<char>(0xF0)));
    const __m256i high_bytes = _mm256_shuffle_epi8(high, _mm256_and_si256(codes, _mm256_set1_epi8(0x0F)));
    __m256i first = _mm256_unpacklo_epi8(low_bytes, high_bytes), second = _mm256_unpackhi_epi8(low_bytes, high_bytes);
    if (__builtin_expect(pair.rare, 0)) first = PutRareRight(first), second = PutRareRight(second);
    odd[0] = OddFloats(first), odd[1] = OddFloats(second);
    even[0] = EvenFloats(first), even[1] = EvenFloats(second);
  }
};

struct Bf16Weights {
  static constexpr bool kScaled = false;
  static constexpr int64_t kPairBytes = 256;
  static constexpr int First(int quarter) { return 2 * quarter; }
  static constexpr int Second(int quarter) { return 2 * quarter + 1; }

  ATOLL_INLINE void Floats(const PackedPair& pair, int quarter, __m256 (&odd)[2], __m256 (&even)[2]) const {
    const __m256i* const at = reinterpret_cast<const __m256i*>(pair.at + 64 * quarter);
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

  ATOLL_INLINE void Floats(const PackedPair& pair, int quarter, __m256 (&odd)[2], __m256 (&even)[2]) const {
    const float* const at = reinterpret_cast<const float*>(pair.at) + 16 * quarter;
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
ATOLL_INLINE void ConvertRow(const char* x, int64_t inputs, float* to) {
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

// ---- a group of rows times a block of weights -------------------------------------------------------------------------------

template <int R, int V>
ATOLL_INLINE void BeginVectors(const TileStep& step, const int64_t (&lanes)[V], __m256 (&acc)[R][V]) {
  ATOLL_UNROLL for (int r = 0; r < R; ++r) {
    ATOLL_UNROLL for (int v = 0; v < V; ++v) acc[r][v] = step.from_zero ? _mm256_setzero_ps() : _mm256_load_ps(step.acc + r * kLanes + lanes[v]);
  }
}

template <int R, int V>
ATOLL_INLINE void EndVectors(const TileStep& step, const int64_t (&lanes)[V], const __m256 (&acc)[R][V]) {
  ATOLL_UNROLL for (int r = 0; r < R; ++r) {
    ATOLL_UNROLL for (int v = 0; v < V; ++v) {
      float* const total = step.total + r * kLanes + lanes[v];
      if (step.scaled) {
        _mm256_store_ps(total, _mm256_fmadd_ps(_mm256_set1_ps(step.scale), acc[r][v], _mm256_load_ps(total)));
      } else {
        _mm256_store_ps(step.acc + r * kLanes + lanes[v], acc[r][v]);
      }
    }
  }
}

// Q quarters of the outputs from quarter `first` on, decoded on the way.
template <typename Weights, int R, int Q>
void DirectTile(const Weights& weights, const PackedBlock& block, int first, const float* x, const TileStep& step) {
  int64_t lanes[2 * Q];
  ATOLL_UNROLL for (int q = 0; q < Q; ++q) lanes[2 * q] = 8 * Weights::First(first + q), lanes[2 * q + 1] = 8 * Weights::Second(first + q);
  __m256 acc[R][2 * Q];
  BeginVectors<R, 2 * Q>(step, lanes, acc);
  uint64_t rare = block.rare;
  for (int64_t p = 0; p < block.count; ++p, rare >>= 1) {
    const PackedPair pair{block.pairs + p * Weights::kPairBytes, (rare & 1) != 0};
    // A pass of several touches only some of the lines, in strides that the hardware does not foresee: each fetches its share of the
    // next block. Into the second level: the first has too few outstanding misses to keep memory busy (half the speed).
    if (Q < 4) {
      Prefetch<(Weights::kPairBytes / 4 + 63) / 64, kIntoSecondLevel>(pair.at + (kPrefetchPairs * 4 + first) * (Weights::kPairBytes / 4));
    }
    ATOLL_UNROLL for (int q = 0; q < Q; ++q) {
      __m256 odd[2], even[2];
      weights.Floats(pair, first + q, odd, even);
      ATOLL_UNROLL for (int r = 0; r < R; ++r) {
        const __m256 x_odd = _mm256_broadcast_ss(x + r * kFmaInputs + 2 * p), x_even = _mm256_broadcast_ss(x + r * kFmaInputs + 2 * p + 1);
        ATOLL_UNROLL for (int v = 0; v < 2; ++v) {
          acc[r][2 * q + v] = _mm256_fmadd_ps(even[v], x_even, _mm256_fmadd_ps(odd[v], x_odd, acc[r][2 * q + v]));
        }
      }
    }
  }
  EndVectors<R, 2 * Q>(step, lanes, acc);
}

template <typename Weights, int R>
void DirectRows(const Weights& weights, const PackedBlock& block, const float* x, const TileStep& step) {
  constexpr int kQuarters = R == 1 ? 4 : 1;   // more than 10 accumulators, and g++ 12 moves them through memory
  for (int first = 0; first < 4; first += kQuarters) DirectTile<Weights, R, kQuarters>(weights, block, first, x, step);
}

template <typename Weights>
ATOLL_INLINE void DirectRowsOf(int rows, const Weights& weights, const PackedBlock& block, const float* x, const TileStep& step) {
  switch (rows) {
    case 1: return DirectRows<Weights, 1>(weights, block, x, step);
    case 2: return DirectRows<Weights, 2>(weights, block, x, step);
    case 3: return DirectRows<Weights, 3>(weights, block, x, step);
    case 4: return DirectRows<Weights, 4>(weights, block, x, step);
    default: return DirectRows<Weights, 5>(weights, block, x, step);
  }
}

// 16 outputs at a time of a decoded block.
template <int R>
void Tile(const FmaScratch& scratch, int64_t inputs, const TileStep& step) {
  for (int64_t lane = 0; lane < kLanes; lane += 16) {
    const int64_t lanes[2] = {lane, lane + 8};
    __m256 acc[R][2];
    BeginVectors<R, 2>(step, lanes, acc);
    for (int64_t i = 0; i < inputs; ++i) {
      const float* const weights = scratch.weights + i * kLanes + lane;
      const __m256 w[2] = {_mm256_load_ps(weights), _mm256_load_ps(weights + 8)};
      ATOLL_UNROLL for (int r = 0; r < R; ++r) {
        const __m256 value = _mm256_broadcast_ss(scratch.x + r * kFmaInputs + i);
        ATOLL_UNROLL for (int v = 0; v < 2; ++v) acc[r][v] = _mm256_fmadd_ps(w[v], value, acc[r][v]);
      }
    }
    EndVectors<R, 2>(step, lanes, acc);
  }
}

// More than kDirectRowsMax rows in groups of at most six make groups of four at least.
ATOLL_INLINE void TilesOf(int rows, const FmaScratch& scratch, int64_t inputs, const TileStep& step) {
  switch (rows) {
    case 4: return Tile<4>(scratch, inputs, step);
    case 5: return Tile<5>(scratch, inputs, step);
    default: return Tile<6>(scratch, inputs, step);
  }
}

template <typename Weights>
ATOLL_INLINE void DecodeFloats(const Weights& weights, const PackedBlock& block, float* to) {
  uint64_t rare = block.rare;
  for (int64_t p = 0; p < block.count; ++p, to += 2 * kLanes, rare >>= 1) {
    ATOLL_UNROLL for (int quarter = 0; quarter < 4; ++quarter) {
      __m256 odd[2], even[2];
      weights.Floats({block.pairs + p * Weights::kPairBytes, (rare & 1) != 0}, quarter, odd, even);
      _mm256_store_ps(to + 8 * Weights::First(quarter), odd[0]);
      _mm256_store_ps(to + 8 * Weights::Second(quarter), odd[1]);
      _mm256_store_ps(to + kLanes + 8 * Weights::First(quarter), even[0]);
      _mm256_store_ps(to + kLanes + 8 * Weights::Second(quarter), even[1]);
    }
  }
}

template <typename WeightsT, typename X>
struct Form {
  using Weights = WeightsT;
  static constexpr int64_t kXBytes = X::kBytes;
  static constexpr int64_t kDirectRowsMax = 10, kDirectGroupRowsMax = 5;   // above, decoding once for all pays

  ATOLL_INLINE static void Convert(const char* x, int64_t inputs, float* to) { ConvertRow<X>(x, inputs, to); }
  ATOLL_INLINE static void Decode(const Weights& weights, const PackedBlock& block, float* to) { DecodeFloats(weights, block, to); }
  ATOLL_INLINE static void Direct(int rows, const Weights& weights, const PackedBlock& block, const float* x, const TileStep& step) {
    DirectRowsOf(rows, weights, block, x, step);
  }
  ATOLL_INLINE static void Tile(int rows, const FmaScratch& scratch, int64_t inputs, const char*, const TileStep& step) {
    TilesOf(rows, scratch, inputs, step);
  }
  ATOLL_INLINE static void Store(const PanelRun& run, int64_t row, const float* result) { StoreRow(run, row, result); }
};

template <typename X>
void PanelOf(const PanelRun& run) {
  switch (run.weight_dtype) {
    case DType::kBF16: return FmaRows<Form<Bf16Weights, X>>(run);
    case DType::kF32: return FmaRows<Form<F32Weights, X>>(run);
    default: return FmaRows<Form<Fp8Weights, X>>(run);
  }
}

}  // namespace

void PanelAvx2(const PanelRun& run) {
  if (run.x_dtype == DType::kBF16) return PanelOf<Bf16Rows>(run);
  PanelOf<F32Rows>(run);
}

}  // namespace atoll::kernels
