// Many rows: a block of weights is decoded into the first-level cache and used by groups of up to six rows (24 accumulators, 4
// weight registers, 1 broadcast). Here the FMA form; tiles of vdpbf16ps are in their own file.
// Included by the AVX-512 files of linear only, each of which gets its own copy in an unnamed namespace: what is compiled there
// must not be what the linker keeps for code that runs on every host. So no inline function and no std:: here.

#pragma once

#include "kernels/linear/avx512/rows.h"

namespace atoll::kernels {
namespace {

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

// `ahead`: if not null, the packed weights of the next block, of which each input's share is fetched meanwhile.
template <typename Weights, int R>
void FmaTile(const float* weights, const float* x, int64_t inputs, const char* ahead, const TileStep& step) {
  __m512 acc[R][kVectors];
  BeginTile<R>(step, acc);
  for (int64_t i = 0; i < inputs; ++i, weights += kLanes) {
    if (ahead != nullptr) Prefetch<Weights::kPairBytes / 128, kIntoSecondLevel>(ahead + i * Weights::kPairBytes / 2);
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
ATOLL_INLINE void DecodeFloats(const Weights& weights, const PackedBlock& block, float* to) {
  uint64_t rare = block.rare;
  for (int64_t p = 0; p < block.count; ++p, to += 2 * kLanes, rare >>= 1) {
    ATOLL_UNROLL for (int half = 0; half < 2; ++half) {
      __m512 odd[2], even[2];
      weights.Floats({block.pairs + p * Weights::kPairBytes, (rare & 1) != 0}, half, odd, even);
      ATOLL_UNROLL for (int v = 0; v < 2; ++v) {
        _mm512_store_ps(to + 32 * half + 16 * v, odd[v]);
        _mm512_store_ps(to + kLanes + 32 * half + 16 * v, even[v]);
      }
    }
  }
}

}  // namespace
}  // namespace atoll::kernels
