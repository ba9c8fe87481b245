#pragma once

// Products of fp8 or bf16 weights and bf16 rows by tensor cores, for 1 to 64 rows at a time: it streams weights. Inside of linear and of grouped
// experts. A block of 8 warps takes 16 weight rows per warp along the outputs (kWarpsN of them) and cuts the inputs among the others (kWarpsK =
// 8 / kWarpsN): of every stage each warp multiplies its own 128 bytes of 16 weight rows. Four stages, filled by cp.async.
//
// Numerics: a warp's inputs are 128 bytes of a weight row at a time, ascending, kWarpsK - 1 of them left out between two. fp8: acc from 0 over
// the 128 inputs in 8 steps of mma.m16n8k16, then total = fma(scale, acc, total). bf16: one accumulator. The warps' totals are added in order.
// Where an input stands inside of a step: 64 inputs (bf16: 32) in four lanes of 16 (8) neighbours, four per step. All of it is a function
// of the weight's shape; the number of rows in a tile decides nothing.

#include "kernels/cuda/async_copy.h"
#include "kernels/cuda/operand_access.h"
#include "kernels/cuda/tensor_core.h"
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

struct TensorLane {
  int g, t;   // as in tensor_core.h
};
ATOLL_DEVICE TensorLane LaneOfTensor() { return {static_cast<int>(threadIdx.x) % kWarpLanes / 4, static_cast<int>(threadIdx.x) % 4}; }

// The chunks of one row's x that belong to one chunk of weights: 16 inputs of fp8, 8 of bf16.
template <typename T>
ATOLL_DEVICE void LoadX(const std::byte* x, int row, int chunk, uint4 (&of)[T::kXChunks]) {
  ATOLL_UNROLL_REGISTERS for (int c = 0; c < T::kXChunks; ++c) of[c] = LoadVector<uint4>(x + XChunk<T>(row, chunk * T::kXChunks + c) * kChunkBytes);
}

ATOLL_DEVICE uint32_t Word(const uint4& chunk, int i) { return i == 0 ? chunk.x : (i == 1 ? chunk.y : (i == 2 ? chunk.z : chunk.w)); }

// Step `step` of a chunk of weights of rows g (low) and g + 8 (high).
template <typename Weight>
ATOLL_DEVICE void WeightStep(const uint4& low, const uint4& high, int step, uint32_t (&a)[4]) {
  if constexpr (sizeof(Weight) == 1) {
    a[0] = Bf16PairOfE4M3(Word(low, step));
    a[1] = Bf16PairOfE4M3(Word(high, step));
    a[2] = Bf16PairOfE4M3(Word(low, step) >> 16);
    a[3] = Bf16PairOfE4M3(Word(high, step) >> 16);
  } else {
    a[0] = Word(low, 2 * step);
    a[1] = Word(high, 2 * step);
    a[2] = Word(low, 2 * step + 1);
    a[3] = Word(high, 2 * step + 1);
  }
}

// One warp's part of a stage onto d [row groups][4].
template <typename T>
ATOLL_DEVICE void MultiplySegment(const std::byte* stage, int warp_n, int warp_k, float (&d)[T::kRowGroups][4]) {
  constexpr int kSteps = 4 / static_cast<int>(sizeof(typename T::Weight));
  const TensorLane lane = LaneOfTensor();
  const std::byte* const x = stage + T::kWeightBytes;
  const int weight_row = warp_k * T::kOutputs + warp_n * kWarpOutputRows + lane.g;
  for (int group = 0; group < kSegmentChunks / 4; ++group) {
    const uint4 low = LoadVector<uint4>(stage + WeightChunk(weight_row, group * 4 + lane.t) * kChunkBytes);
    const uint4 high = LoadVector<uint4>(stage + WeightChunk(weight_row + 8, group * 4 + lane.t) * kChunkBytes);
    uint32_t a[kSteps][4];
    ATOLL_UNROLL_REGISTERS for (int step = 0; step < kSteps; ++step) WeightStep<typename T::Weight>(low, high, step, a[step]);
    ATOLL_UNROLL_REGISTERS for (int rows = 0; rows < T::kRowGroups; ++rows) {
      uint4 of[T::kXChunks];
      LoadX<T>(x, warp_k * T::kRows + rows * 8 + lane.g, group * 4 + lane.t, of);
      ATOLL_UNROLL_REGISTERS for (int step = 0; step < kSteps; ++step) {
        const uint32_t b[2] = {Word(of[step / 2], step % 2 * 2), Word(of[step / 2], step % 2 * 2 + 1)};
        MmaBf16(d[rows], a[step], b);
      }
    }
  }
}

// The scales of weight rows g and g + 8 of this warp at an input.
struct ScalePair {
  float low, high;
};
template <typename T, int kMatrices>
ATOLL_DEVICE ScalePair ScalesAt(const WeightRows<kMatrices>& weights, int warp_n, int64_t input) {
  constexpr int kPart = T::kOutputs / kMatrices;
  const int output = warp_n * kWarpOutputRows + LaneOfTensor().g, part = output / kPart;
  const MatrixRows rows = PartOf(weights, part);
  const float* const scales = rows.scales + (input >> rows.input_shift);
  const int64_t last = rows.number + rows.count - 1;
  const int64_t low = min(rows.number + output % kPart, last), high = min(low + 8, last);
  return {scales[(low >> rows.output_shift) * rows.scale_stride], scales[(high >> rows.output_shift) * rows.scale_stride]};
}

template <typename T, int kMatrices>
ATOLL_DEVICE void AddStage(const WeightRows<kMatrices>& weights, const std::byte* stage, int64_t input, int64_t inputs, float (&totals)[T::kRowGroups][4]) {
  const int warp = static_cast<int>(threadIdx.x) / kWarpLanes, warp_n = warp % T::kWarpsN, warp_k = warp / T::kWarpsN;
  const int64_t first = input + warp_k * T::kWarpInputs;
  if (first >= inputs) return;
  if constexpr (sizeof(typename T::Weight) == 2) {
    MultiplySegment<T>(stage, warp_n, warp_k, totals);
  } else {
    float acc[T::kRowGroups][4] = {};
    MultiplySegment<T>(stage, warp_n, warp_k, acc);
    const ScalePair scales = ScalesAt<T>(weights, warp_n, first);
    ATOLL_UNROLL_REGISTERS for (int rows = 0; rows < T::kRowGroups; ++rows) {
      ATOLL_UNROLL_REGISTERS for (int i = 0; i < 4; ++i) totals[rows][i] = fmaf(i < 2 ? scales.low : scales.high, acc[rows][i], totals[rows][i]);
    }
  }
}

// This warp's totals to its place in memory [kWarpsK][row][output].
template <typename T>
ATOLL_DEVICE void StoreTotals(const float (&totals)[T::kRowGroups][4], float* memory) {
  const int warp = static_cast<int>(threadIdx.x) / kWarpLanes, warp_n = warp % T::kWarpsN, warp_k = warp / T::kWarpsN;
  const TensorLane lane = LaneOfTensor();
  ATOLL_UNROLL_REGISTERS for (int rows = 0; rows < T::kRowGroups; ++rows) {
    ATOLL_UNROLL_REGISTERS for (int i = 0; i < 4; ++i) {
      const int row = rows * 8 + 2 * lane.t + i % 2, output = warp_n * kWarpOutputRows + lane.g + i / 2 * 8;
      memory[(warp_k * T::kRows + row) * T::kOutputs + output] = totals[rows][i];
    }
  }
}

// Product of output `output` (of the block's kOutputs) and row `row`, after TensorDots.
template <typename T>
ATOLL_DEVICE float ProductAt(const std::byte* memory, int row, int output) {
  const float* const totals = reinterpret_cast<const float*>(memory) + row * T::kOutputs + output;
  float sum = totals[0];
  ATOLL_UNROLL_REGISTERS for (int warp_k = 1; warp_k < T::kWarpsK; ++warp_k) sum += totals[warp_k * T::kRows * T::kOutputs];
  return sum;
}

// All products of the block, left in `memory` (TensorSharedBytes) for ProductAt. All threads come and leave together.
template <typename T, int kMatrices>
ATOLL_DEVICE void TensorDots(const WeightRows<kMatrices>& weights, const DotRows& rows, int64_t inputs, std::byte* memory) {
  const int stages = static_cast<int>((inputs + T::kStageInputs - 1) / T::kStageInputs);
  const bool whole = reinterpret_cast<uintptr_t>(rows.x.data.address() + 2 * rows.first_column) % kChunkBytes == 0 && rows.x.stride % 8 == 0 && inputs % 8 == 0;
  const auto issue = [&](int stage) {
    if (stage < stages) {
      std::byte* const to = memory + stage % kTensorStages * T::kStageBytes;
      CopyWeights<T>(weights, int64_t{stage} * T::kStageInputs, to);
      CopyRows<T>(rows, int64_t{stage} * T::kStageInputs, inputs, whole, to);
    }
    CommitCopies();
  };
  float totals[T::kRowGroups][4] = {};
  for (int stage = 0; stage < kTensorStages - 1; ++stage) issue(stage);
  for (int stage = 0; stage < stages; ++stage) {
    AwaitCopies<kTensorStages - 2>();
    __syncthreads();   // the stage is there for all, and the one before it has been read
    issue(stage + kTensorStages - 1);
    AddStage<T>(weights, memory + stage % kTensorStages * T::kStageBytes, int64_t{stage} * T::kStageInputs, inputs, totals);
  }
  AwaitCopies<0>();
  __syncthreads();
  StoreTotals<T>(totals, reinterpret_cast<float*>(memory));
  __syncthreads();
}

}  // namespace
}  // namespace atoll::kernels
