#pragma once

// What a block of tensor_dots.h multiplies, and how it comes to shared memory. Inside of linear and of grouped experts.

#include "kernels/cuda/async_copy.h"
#include "kernels/cuda/operand_access.h"
#include "kernels/linear/device_weights.h"
#include "kernels/linear/dot_rows.h"
#include "kernels/linear/tensor_space.h"

namespace atoll::kernels {
namespace {

constexpr int kChunkBytes = 16;
constexpr int kSegmentChunks = kSegmentBytes / kChunkBytes;

// Neighbouring rows of one matrix.
struct MatrixRows {
  const std::byte* first;      // the first row
  int64_t row_bytes;
  int64_t count;               // that exist
  const float* scales;         // the matrix's
  int64_t scale_stride;
  int64_t number;              // of the first row
  int32_t output_shift, input_shift;
};

// Rows from `first_row` of the matrix in memory on, of which `count` exist (at least one).
ATOLL_DEVICE MatrixRows RowsFrom(const DeviceWeights& weights, int64_t first_row, int64_t count) {
  const int64_t row_bytes = weights.stride * (weights.dtype == DType::kF8E4M3 ? 1 : 2);
  return {.first = weights.data.address() + first_row * row_bytes, .row_bytes = row_bytes, .count = count,
          .scales = reinterpret_cast<const float*>(weights.data.address() + weights.scale_offset), .scale_stride = weights.scale_stride,
          .number = first_row, .output_shift = weights.output_shift, .input_shift = weights.input_shift};
}

// The weight rows of a block, in equal parts of one matrix each.
template <int kMatrices>
struct WeightRows {
  MatrixRows part[kMatrices];
};
template <int kMatrices>
ATOLL_DEVICE MatrixRows PartOf(const WeightRows<kMatrices>& weights, int part) {
  static_assert(kMatrices <= 2);
  if constexpr (kMatrices == 2) return part == 0 ? weights.part[0] : weights.part[1];
  return weights.part[0];
}

// What a block computes: kRows rows by 16 outputs for each of kWarpsN warps.
template <typename WeightElement, int kWarpsAlongOutputs, int kRowTile>
struct TensorTile {
  using Weight = WeightElement;
  static constexpr int kRows = kRowTile;
  static constexpr int kWarpsN = kWarpsAlongOutputs;
  static constexpr int kWarpsK = kTensorWarps / kWarpsN;
  static constexpr int kOutputs = kWarpsN * kWarpOutputRows;
  static constexpr int kWarpInputs = kSegmentBytes / static_cast<int>(sizeof(Weight));
  static constexpr int kStageInputs = kWarpsK * kWarpInputs;
  static constexpr int kRowChunks = kWarpInputs * 2 / kChunkBytes;   // of one row of x, of one warp's inputs
  static constexpr int kWeightBytes = kOutputs * kWarpsK * kSegmentBytes;
  static constexpr int kStageBytes = kWeightBytes + kRowTile * kStageInputs * 2;
  static constexpr int kRowGroups = kRowTile / 8;
  static constexpr int kXChunks = 2 / static_cast<int>(sizeof(Weight));   // of x that belong to one chunk of a weight row
};

// Neighbouring rows of 128 bytes lie in one bank group otherwise: the four chunks that a phase reads of one row are the four that it does not read
// of the next.
ATOLL_DEVICE int WeightChunk(int row, int chunk) { return row * kSegmentChunks + (chunk ^ ((row & 1) << 2)); }
template <typename T>
ATOLL_DEVICE int XChunk(int row, int chunk) { return row * T::kRowChunks + (chunk ^ ((row & 1) << (T::kXChunks == 2 ? 0 : 2))); }

template <typename T, int kMatrices>
ATOLL_DEVICE void CopyWeights(const WeightRows<kMatrices>& weights, int64_t input, std::byte* stage) {
  constexpr int kPart = T::kOutputs / kMatrices;
  for (int i = static_cast<int>(threadIdx.x); i < T::kWeightBytes / kChunkBytes; i += kTensorThreads) {
    const int chunk = i % kSegmentChunks, output = i / kSegmentChunks % T::kOutputs, warp_k = i / (kSegmentChunks * T::kOutputs);
    const MatrixRows rows = PartOf(weights, output / kPart);
    const int64_t at = (input / T::kWarpInputs + warp_k) * kSegmentBytes + chunk * kChunkBytes;
    const bool there = output % kPart < rows.count && at < rows.row_bytes;
    const std::byte* const from = rows.first + (there ? output % kPart * rows.row_bytes + at : 0);
    CopyAsync16(stage + WeightChunk(warp_k * T::kOutputs + output, chunk) * kChunkBytes, from, there);
  }
}

// Rows that do not exist and inputs beyond the last are zeros. `whole`: chunks of x are aligned and none is cut by the last input.
template <typename T>
ATOLL_DEVICE void CopyRows(const DotRows& rows, int64_t input, int64_t inputs, bool whole, std::byte* stage) {
  for (int i = static_cast<int>(threadIdx.x); i < T::kRows * T::kWarpsK * T::kRowChunks; i += kTensorThreads) {
    const int chunk = i % T::kRowChunks, row = i / T::kRowChunks % T::kRows, warp_k = i / (T::kRowChunks * T::kRows);
    const int64_t k = input + warp_k * T::kWarpInputs + chunk * (kChunkBytes / 2);
    std::byte* const to = stage + T::kWeightBytes + XChunk<T>(warp_k * T::kRows + row, chunk) * kChunkBytes;
    const bool there = row < rows.rows && k < inputs;
    const BFloat16* const from = there ? reinterpret_cast<const BFloat16*>(RowOf(rows.x, NamedRow(rows, row))) + rows.first_column + k
                                       : reinterpret_cast<const BFloat16*>(rows.x.data.address());
    if (whole) {
      CopyAsync16(to, from, there);
      continue;
    }
    for (int e = 0; e < kChunkBytes / 2; ++e) reinterpret_cast<BFloat16*>(to)[e] = there && k + e < inputs ? from[e] : BFloat16{};
  }
}

}  // namespace
}  // namespace atoll::kernels
