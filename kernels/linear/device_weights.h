#pragma once

// Weights in device memory: a matrix (or a rectangle of one, or of its transpose; or one such per head, one after the other) in its own dtype,
// row by row, an output's inputs together, rows padded with zeros to 16 bytes; then, for fp8, the scales.
//
// Scales stay what the checkpoint has, one per 128 x 128 of the source; but a rectangle may begin inside of a block, so the table here is as
// fine as the rectangles' borders ask for: one scale per 2^output_shift rows and 2^input_shift inputs.

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/cuda/device_kernel.h"
#include "kernels/linear/packed_matrix.h"

namespace atoll::kernels {

// A view of such memory: output o of head h is row first_row + h * head_rows + o.
struct DeviceWeights {
  DType dtype = DType::kBF16;        // kBF16, kF32 or kF8E4M3
  int64_t outputs = 0;               // of one head
  int64_t inputs = 0;
  int64_t heads = 1;
  int64_t first_row = 0;
  int64_t head_rows = 0;
  int64_t rows = 0;                  // that lie in memory
  int64_t stride = 0;                // elements from one row to the next
  int32_t output_shift = 0;          // kF8E4M3 alone
  int32_t input_shift = 0;           // at least 2
  int64_t scale_stride = 0;          // from one row of scales to the next
  int64_t scale_offset = 0;          // bytes from the first weight to the first scale
  DevicePtr<const std::byte> data = {};   // 256-byte aligned; its owner keeps it alive

  int64_t Bytes() const {
    const int64_t scale_rows = (rows + (int64_t{1} << output_shift) - 1) >> output_shift;
    return scale_offset + scale_rows * scale_stride * int64_t{sizeof(float)};
  }
};

// Of a matrix of one head: outputs first + head * all .. + count - 1 of each of `heads` heads of `all` outputs.
DeviceWeights HeadsOf(const DeviceWeights& matrix, int64_t heads, int64_t first, int64_t count);

// What `heads` sources of one shape need; errors as PackMatrix's, and for a rectangle that begins inside of four inputs of a scale block.
KernelError DescribeDeviceWeights(std::span<const PackSource> heads, DeviceWeights* weights);

// Fills `to` (Bytes() of what DescribeDeviceWeights said of the same sources; host memory, to be copied to the device as it is) and nothing
// else. An fp8 weight that is NaN is an error that names its row and column. Parallel over outputs; not for the hot path.
KernelError FillDeviceWeights(const Context& context, std::span<const PackSource> heads, const DeviceWeights& weights, std::span<std::byte> to);

}  // namespace atoll::kernels
