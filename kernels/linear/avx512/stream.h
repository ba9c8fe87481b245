// Few rows: the weights stream through registers once, decoded on the way; above four rows in two passes, over the first and the
// second 32 outputs of each pair.
// Included by the AVX-512 files of linear only, each of which gets its own copy in an unnamed namespace: what is compiled there
// must not be what the linker keeps for code that runs on every host. So no inline function and no std:: here.

#pragma once

#include "kernels/linear/avx512/rows.h"

namespace atoll::kernels {
namespace {

// Multiply-add with FMA: the two steps of a pair one after the other.
template <typename WeightsT, typename X>
struct FmaForm {
  using Weights = WeightsT;
  static constexpr int64_t kXBytes = X::kBytes;

  // R rows times the outputs of H halves from `half0` on.
  template <int R, int H>
  ATOLL_INLINE static void Pair(const Weights& weights, const PackedPair& pair, int half0, const char* const (&x)[R], int64_t k, bool whole,
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
    uint64_t rare = RareOf<Weights>(run, block, 0);
    int64_t i = 0;
    for (; i + 1 < length; i += 2, pair += Weights::kPairBytes, rare >>= 1) {
      if (R >= kPrefetchRows) Prefetch<Weights::kPairBytes / 64, kIntoFirstLevel>(pair + kPrefetchPairs * Weights::kPairBytes);
      Form::template Pair<R, H>(weights, {pair, (rare & 1) != 0}, half0, x, k + i, true, acc);
    }
    if (i < length) {
      Form::template Pair<R, H>(weights, {pair, (rare & 1) != 0}, half0, x, k + i, false, acc);
      pair += Weights::kPairBytes;
    }
    const __m512 scale = _mm512_set1_ps(ScaleOf<Weights>(run, block));
    ATOLL_UNROLL for (int r = 0; r < R; ++r) {
      ATOLL_UNROLL for (int v = 0; v < kVectors; ++v) total[r][v] = Weights::kScaled ? _mm512_fmadd_ps(scale, acc[r][v], total[r][v]) : acc[r][v];
    }
  }
  ATOLL_UNROLL for (int r = 0; r < R; ++r) StoreRow(run, r, 32 * half0, total[r]);
}

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

}  // namespace
}  // namespace atoll::kernels
