// AVX-512 BF16: vdpbf16ps does both steps of a pair, odd element first, denormals flushed: the order of linear.h in hardware.
// float32 on either side has no such instruction and takes the FMA form.

#include "kernels/linear/avx512/fma_panel.h"
#include "kernels/linear/avx512/vbmi_decoder.h"

namespace atoll::kernels {
namespace {

ATOLL_INLINE __m512 Dot(__m512i w, __m512i x, __m512 acc) {
  return _mm512_dpbf16_ps(acc, reinterpret_cast<__m512bh>(w), reinterpret_cast<__m512bh>(x));
}

template <typename WeightsT>
struct DotForm {
  using Weights = WeightsT;

  template <int R, int H>
  ATOLL_INLINE static void Pair(const Weights& weights, const PackedPair& pair, int half0, const char* const (&x)[R], int64_t k, bool whole,
                                __m512 (&acc)[R][2 * H]) {
    __m512i value[R];
    ATOLL_UNROLL for (int r = 0; r < R; ++r) value[r] = _mm512_set1_epi32(whole ? LoadWord32(x[r] + 2 * k) : LoadWord16(x[r] + 2 * k));
    ATOLL_UNROLL for (int half = 0; half < H; ++half) {
      __m512i first, second;
      weights.Pairs(pair, half0 + half, first, second);
      ATOLL_UNROLL for (int r = 0; r < R; ++r) {
        acc[r][2 * half] = Dot(first, value[r], acc[r][2 * half]);
        acc[r][2 * half + 1] = Dot(second, value[r], acc[r][2 * half + 1]);
      }
    }
  }
};

constexpr int64_t kDotInputs = 128;   // of one block in the first-level cache: 16 KB of bf16
constexpr int64_t kDotPairBytes = kLanes * 4;

struct alignas(64) DotScratch {
  char weights[kDotInputs / 2 * kDotPairBytes];   // fp8, decoded
  float sums[kPanelRowsMax * kLanes];
};

// One group of rows over a block of `inputs`. `ahead` as in FmaTile.
template <typename Weights, int R>
void DotTile(const char* weights, const char* const (&rows)[kGroupRowsMax], int64_t inputs, const char* ahead, const TileStep& step) {
  const int64_t pairs = inputs / 2;
  __m512 acc[R][kVectors];
  const char* x[R];
  ATOLL_UNROLL for (int r = 0; r < R; ++r) x[r] = rows[r];
  BeginTile<R>(step, acc);
  for (int64_t p = 0; p < pairs; ++p, weights += kDotPairBytes) {
    if (ahead != nullptr) Prefetch<Weights::kPairBytes / 64, kIntoSecondLevel>(ahead + p * Weights::kPairBytes);
    __m512i w[kVectors];
    ATOLL_UNROLL for (int v = 0; v < kVectors; ++v) w[v] = _mm512_loadu_si512(weights + 64 * v);
    ATOLL_UNROLL for (int r = 0; r < R; ++r) {
      const __m512i value = _mm512_set1_epi32(LoadWord32(x[r] + 4 * p));
      ATOLL_UNROLL for (int v = 0; v < kVectors; ++v) acc[r][v] = Dot(w[v], value, acc[r][v]);
    }
  }
  if (inputs % 2 != 0) {   // a last pair without its odd element
    ATOLL_UNROLL for (int r = 0; r < R; ++r) {
      const __m512i value = _mm512_set1_epi32(LoadWord16(x[r] + 4 * pairs));
      ATOLL_UNROLL for (int v = 0; v < kVectors; ++v) acc[r][v] = Dot(_mm512_loadu_si512(weights + 64 * v), value, acc[r][v]);
    }
  }
  EndTile<R>(step, acc);
}

template <typename Weights>
ATOLL_INLINE void DotTileOf(int count, const char* weights, const char* const (&rows)[kGroupRowsMax], int64_t inputs, const char* ahead,
                            const TileStep& step) {
  switch (count) {
    case 1: return DotTile<Weights, 1>(weights, rows, inputs, ahead, step);
    case 2: return DotTile<Weights, 2>(weights, rows, inputs, ahead, step);
    case 3: return DotTile<Weights, 3>(weights, rows, inputs, ahead, step);
    case 4: return DotTile<Weights, 4>(weights, rows, inputs, ahead, step);
    case 5: return DotTile<Weights, 5>(weights, rows, inputs, ahead, step);
    default: return DotTile<Weights, 6>(weights, rows, inputs, ahead, step);
  }
}

// The next block as bf16 pairs: fp8 decoded into `to`, bf16 where it lies.
template <typename Weights>
ATOLL_INLINE const char* BlockPairs(const Weights& weights, const PackedBlock& block, char* to) {
  if constexpr (!Weights::kScaled) return block.pairs;
  uint64_t rare = block.rare;
  for (int64_t p = 0; p < block.count; ++p, rare >>= 1) {
    ATOLL_UNROLL for (int half = 0; half < 2; ++half) {
      __m512i first, second;
      weights.Pairs({block.pairs + p * Weights::kPairBytes, (rare & 1) != 0}, half, first, second);
      _mm512_store_si512(to + p * kDotPairBytes + 128 * half, first);
      _mm512_store_si512(to + p * kDotPairBytes + 128 * half + 64, second);
    }
  }
  return to;
}

template <typename Weights>
void DotRows(const PanelRun& run) {
  DotScratch scratch;
  const Weights weights;
  const char* pair = run.weights;
  __builtin_memset(scratch.sums, 0, run.rows * kLanes * sizeof(float));
  const int64_t groups = GroupCount(run.rows, kGroupRowsMax);
  for (int64_t k = 0, length = 0, number = 0; k < run.inputs; k += length, ++number) {
    length = BlockLength<Weights>(run, k);
    if (length > kDotInputs) length = kDotInputs;
    const PackedBlock block{pair, (length + 1) / 2, RareOf<Weights>(run, number, 0)};
    const char* const decoded = BlockPairs(weights, block, scratch.weights);
    pair += block.count * Weights::kPairBytes;
    for (int64_t group = 0; group < groups; ++group) {
      const int64_t row0 = run.rows * group / groups, row1 = run.rows * (group + 1) / groups;
      const char* rows[kGroupRowsMax];
      for (int64_t r = 0; r < kGroupRowsMax; ++r) rows[r] = RowOf(run, row0 + r < row1 ? row0 + r : row0) + 2 * k;
      float* const sums = scratch.sums + row0 * kLanes;
      const TileStep step{.from_zero = Weights::kScaled, .scaled = Weights::kScaled, .scale = ScaleOf<Weights>(run, number),
                          .acc = sums, .total = sums};
      DotTileOf<Weights>(static_cast<int>(row1 - row0), decoded, rows, length, group == 0 ? pair : nullptr, step);
    }
  }
  for (int64_t row = 0; row < run.rows; ++row) StoreRow(run, row, scratch.sums + row * kLanes);
}

template <typename Weights>
void DotPanel(const PanelRun& run) {
  if (!StreamFewRows<DotForm<Weights>>(run)) DotRows<Weights>(run);
}

}  // namespace

void PanelAvx512Bf16(const PanelRun& run) {
  if (run.x_dtype == DType::kBF16 && run.weight_dtype == DType::kF8E4M3) return DotPanel<Fp8Weights<ByteDecoder>>(run);
  if (run.x_dtype == DType::kBF16 && run.weight_dtype == DType::kBF16) return DotPanel<Bf16Weights>(run);
  PanelAvx512Vbmi(run);
}

}  // namespace atoll::kernels
