#pragma once

// Extents of tensor_dots.h. Plain C++, included by both sides.

#include <cstdint>

#include "kernels/linear/device_weights.h"

namespace atoll::kernels {

inline constexpr int kTensorThreads = 256;
inline constexpr int kTensorWarps = kTensorThreads / 32;
inline constexpr int kTensorStages = 4;
inline constexpr int kWarpOutputRows = 16;
inline constexpr int kSegmentBytes = 128;   // of a weight row that a warp multiplies at a time

// Whether these weights go to the tensor cores: by their shape alone, whatever the number of rows (promise P1). Scales must not change inside
// of a warp's inputs.
constexpr bool TensorWeights(const DeviceWeights& weights) {
  return weights.dtype == DType::kBF16 || (weights.dtype == DType::kF8E4M3 && weights.input_shift == 7);
}

// How many of the eight warps lie along the outputs, again by the weight's shape alone: enough blocks for 132 multiprocessors where there are
// few outputs. The rest cuts the inputs.
constexpr int WarpsAlongOutputs(int64_t outputs) { return outputs >= 64 * 132 ? 4 : (outputs >= 32 * 132 ? 2 : 1); }

// The same for grouped experts, of which there are many at a time.
inline constexpr int kExpertWarpsN = 4;

constexpr int64_t TensorSharedBytes(int64_t weight_element_bytes, int64_t warps_n, int64_t row_tile) {
  const int64_t warps_k = kTensorWarps / warps_n;
  const int64_t stage = kWarpOutputRows * kTensorWarps * kSegmentBytes + row_tile * warps_k * (kSegmentBytes / weight_element_bytes) * 2;
  const int64_t totals = kTensorWarps * kWarpOutputRows * row_tile * int64_t{sizeof(float)};
  return kTensorStages * stage > totals ? kTensorStages * stage : totals;
}

}  // namespace atoll::kernels
