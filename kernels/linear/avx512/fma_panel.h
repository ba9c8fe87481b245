// The FMA form of a panel: few rows stream, many are tiled. Both run the order of linear.h, so they agree in every bit.
// Included by the AVX-512 files of linear only, each of which gets its own copy in an unnamed namespace: what is compiled there
// must not be what the linker keeps for code that runs on every host. So no inline function and no std:: here.

#pragma once

#include "kernels/linear/avx512/stream.h"
#include "kernels/linear/avx512/tiles.h"

namespace atoll::kernels {
namespace {

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
      DecodeFloats(weights, pair, pairs, RareOf<Weights>(run, block) >> (i / 2), scratch.weights);
      pair += pairs * Weights::kPairBytes;
      for (int64_t group = 0; group < groups; ++group) {
        const int64_t row0 = run.rows * group / groups, row1 = run.rows * (group + 1) / groups;
        for (int64_t row = row0; row < row1; ++row) X::Convert(RowOf(run, row) + (k + i) * X::kBytes, inputs, scratch.x + (row - row0) * kFmaInputs);
        const TileStep step{.from_zero = Weights::kScaled && i == 0, .scaled = Weights::kScaled && i + inputs == length,
                            .scale = ScaleOf<Weights>(run, block),
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
