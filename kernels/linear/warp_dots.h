#pragma once

// The products of linear_cuda.h for some rows and outputs by one block of 128 threads: inside of linear and of grouped experts. A warp takes four
// outputs; the rows, widened to float32, are in shared memory, 512 inputs at a time.

#include "kernels/cuda/operand_access.h"
#include "kernels/linear/device_weights.h"
#include "kernels/linear/dot_rows.h"
#include "kernels/linear/linear_cuda.h"

namespace atoll::kernels {
namespace {

constexpr int kDotThreads = 128;
constexpr int kDotWarps = kDotThreads / kWarpLanes;
constexpr int kWarpOutputs = kBlockOutputs / kDotWarps;
constexpr int kChunkInputs = 512;
constexpr int kLaneInputs = 4;
constexpr int kTreeStride = kWarpLanes + 1;   // odd, so that a column of totals is spread over the banks

ATOLL_DEVICE void LoadFour(const E4M3* from, float (&w)[kLaneInputs]) {
  const uint32_t codes = *reinterpret_cast<const uint32_t*>(from);
  ATOLL_UNROLL_REGISTERS for (int i = 0; i < kLaneInputs; ++i) w[i] = E4M3ToFloat(static_cast<uint8_t>(codes >> (8 * i)));
}
ATOLL_DEVICE void LoadFour(const BFloat16* from, float (&w)[kLaneInputs]) {
  const uint2 pairs = *reinterpret_cast<const uint2*>(from);
  w[0] = std::bit_cast<float>(pairs.x << 16);
  w[1] = std::bit_cast<float>(pairs.x & 0xFFFF0000u);
  w[2] = std::bit_cast<float>(pairs.y << 16);
  w[3] = std::bit_cast<float>(pairs.y & 0xFFFF0000u);
}
ATOLL_DEVICE void LoadFour(const float* from, float (&w)[kLaneInputs]) {
  const float4 four = LoadVector<float4>(from);
  w[0] = four.x, w[1] = four.y, w[2] = four.z, w[3] = four.w;
}

template <int kRows>
struct DotSpace {
  float (*x)[kChunkInputs];         // [kRows]
  float* totals;                    // [kDotWarps][32][kTreeStride]
};

template <int kRows>
ATOLL_DEVICE void StageRows(const DotRows& rows, int64_t input, int64_t inputs, const DotSpace<kRows>& space) {
  __syncthreads();   // the chunk before this has been read
  for (int i = static_cast<int>(threadIdx.x); i < kRows * kChunkInputs; i += kDotThreads) {
    const int row = i / kChunkInputs, k = i % kChunkInputs;
    float value = 0;
    if (row < rows.rows && input + k < inputs) {
      value = GetElement(RowOf(rows.x, NamedRow(rows, row)), rows.first_column + input + k, rows.x.bf16);
    }
    space.x[row][k] = value;
  }
  __syncthreads();
}

template <typename Weight, int kRows>
struct LaneTotals {
  float of[kWarpOutputs][kRows] = {};
};

// Inputs input .. input + 511 of the staged rows. Outputs beyond the last read the last one's weights; nobody stores what they give.
template <typename Weight, int kRows>
ATOLL_DEVICE void AddChunk(const DeviceWeights& weights, int64_t head, int64_t first_output, int64_t input, const DotSpace<kRows>& space,
                           LaneTotals<Weight, kRows>& totals) {
  const std::byte* const data = weights.data.address();
  const float* const scales = reinterpret_cast<const float*>(data + weights.scale_offset);
  const auto* const matrix = reinterpret_cast<const Weight*>(data);
  const int64_t head_row = weights.first_row + head * weights.head_rows;
  for (int k = static_cast<int>(threadIdx.x) % kWarpLanes * kLaneInputs; k < kChunkInputs && input + k < weights.inputs; k += kWarpLanes * kLaneInputs) {
    float x[kRows][kLaneInputs];
    ATOLL_UNROLL_REGISTERS for (int row = 0; row < kRows; ++row) LoadFour(&space.x[row][k], x[row]);
    ATOLL_UNROLL_REGISTERS for (int o = 0; o < kWarpOutputs; ++o) {
      const int64_t matrix_row = head_row + min(first_output + o, weights.outputs - 1);
      float w[kLaneInputs];
      LoadFour(matrix + matrix_row * weights.stride + input + k, w);
      if constexpr (sizeof(Weight) == 1) {
        const float scale = scales[(matrix_row >> weights.output_shift) * weights.scale_stride + ((input + k) >> weights.input_shift)];
        ATOLL_UNROLL_REGISTERS for (int row = 0; row < kRows; ++row) {
          float acc = 0;
          ATOLL_UNROLL_REGISTERS for (int i = 0; i < kLaneInputs; ++i) acc = fmaf(w[i], x[row][i], acc);
          totals.of[o][row] = fmaf(scale, acc, totals.of[o][row]);
        }
      } else {
        ATOLL_UNROLL_REGISTERS for (int row = 0; row < kRows; ++row) {
          ATOLL_UNROLL_REGISTERS for (int i = 0; i < kLaneInputs; ++i) totals.of[o][row] = fmaf(w[i], x[row][i], totals.of[o][row]);
        }
      }
    }
  }
}

// The sum of one column of the lanes' totals: four sums of every fourth lane, ascending, then (0 + 1) + (2 + 3).
ATOLL_DEVICE float LaneTree(const float* column) {
  float sums[4] = {0, 0, 0, 0};
  ATOLL_UNROLL_REGISTERS for (int lane = 0; lane < kWarpLanes; ++lane) sums[lane % 4] += column[lane * kTreeStride];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// The finished products of this warp's outputs: lane kRows * o + r gets output first_output + o of row r; other lanes' results mean nothing.
template <typename Weight, int kRows>
ATOLL_DEVICE float WarpDots(const DeviceWeights& weights, int64_t head, int64_t first_output, const DotRows& rows, const DotSpace<kRows>& space) {
  static_assert(kWarpOutputs * kRows <= kWarpLanes);
  LaneTotals<Weight, kRows> totals;
  for (int64_t input = 0; input < weights.inputs; input += kChunkInputs) {
    StageRows(rows, input, weights.inputs, space);
    AddChunk(weights, head, first_output, input, space, totals);
  }
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  float* const mine = space.totals + static_cast<int>(threadIdx.x) / kWarpLanes * kWarpLanes * kTreeStride;
  __syncwarp();
  ATOLL_UNROLL_REGISTERS for (int o = 0; o < kWarpOutputs; ++o) {
    ATOLL_UNROLL_REGISTERS for (int row = 0; row < kRows; ++row) mine[lane * kTreeStride + o * kRows + row] = totals.of[o][row];
  }
  __syncwarp();
  return lane < kWarpOutputs * kRows ? LaneTree(mine + lane) : 0.0f;
}

}  // namespace
}  // namespace atoll::kernels
