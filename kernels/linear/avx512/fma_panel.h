// The FMA form of a panel: few rows stream, many are tiled. Both run the order of linear.h, so they agree in every bit.
// Included by the AVX-512 files of linear only, each of which gets its own copy in an unnamed namespace: what is compiled there
// must not be what the linker keeps for code that runs on every host. So no inline function and no std:: here.

#pragma once

#include "kernels/linear/avx512/stream.h"
#include "kernels/linear/avx512/tiles.h"

namespace atoll::kernels {
namespace {

template <typename WeightsT, typename X>
struct FmaTiles {
  using Weights = WeightsT;
  static constexpr int64_t kXBytes = X::kBytes;
  static constexpr int64_t kDirectRowsMax = 0, kDirectGroupRowsMax = kGroupRowsMax;   // few rows stream

  ATOLL_INLINE static void Convert(const char* x, int64_t inputs, float* to) { X::Convert(x, inputs, to); }
  ATOLL_INLINE static void Decode(const Weights& weights, const PackedBlock& block, float* to) { DecodeFloats(weights, block, to); }
  ATOLL_INLINE static void Tile(int rows, const FmaScratch& scratch, int64_t inputs, const char* ahead, const TileStep& step) {
    FmaTileOf<Weights>(rows, scratch, inputs, ahead, step);
  }
  ATOLL_INLINE static void Store(const PanelRun& run, int64_t row, const float* result) { StoreRow(run, row, result); }
};

template <typename Weights, typename X>
void FmaPanel(const PanelRun& run) {
  if (!StreamFewRows<FmaForm<Weights, X>>(run)) FmaRows<FmaTiles<Weights, X>>(run);
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
