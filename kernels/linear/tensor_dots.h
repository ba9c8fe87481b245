#pragma once

// Products of fp8 or bf16 weights and bf16 rows by tensor cores, for 1 to 64 rows at a time: it streams weights. Inside of linear and of grouped
// experts. A block of 8 warps takes 16 weight rows per warp along the outputs (kWarpsN of them) and cuts the inputs among the others (kWarpsK =
// 8 / kWarpsN): of every stage each warp multiplies its own 128 bytes of 16 weight rows. Four stages, filled by cp.async.
//
// Numerics: a warp's inputs are 128 bytes of a weight row at a time, ascending, kWarpsK - 1 of them left out between two. fp8: acc from 0 over
// the 128 inputs in 8 steps of mma.m16n8k16, then total = fma(scale, acc, total). bf16: one accumulator. The warps' totals are added in order.
// Where an input stands inside of a step: 64 inputs (bf16: 32) in four lanes of 16 (8) neighbours, four per step. All of it is a function
// of the weight's shape; the number of rows in a tile decides nothing.

#include "kernels/cuda/tensor_core.h"
#include "kernels/linear/tensor_stage.h"

namespace atoll::kernels {
namespace {

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
