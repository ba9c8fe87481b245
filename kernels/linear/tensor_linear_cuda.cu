#include "kernels/cuda/device_code.h"
#include "kernels/linear/tensor_dots.h"
#include "kernels/linear/tensor_linear_cuda.h"

namespace atoll::kernels {
namespace {

// Block (x, y, z): outputs T::kOutputs x .., rows T::kRows y .., head z.
template <typename T>
ATOLL_DEVICE void TensorLinearBlock(const LinearParams& params) {
  ATOLL_DYNAMIC_SHARED(memory);
  const DeviceWeights& weights = params.weights;
  const int64_t head = blockIdx.z, first_row = int64_t{blockIdx.y} * T::kRows, first_output = int64_t{blockIdx.x} * T::kOutputs;
  const int64_t outputs = weights.outputs - first_output;
  const WeightRows<1> of = {{RowsFrom(weights, weights.first_row + head * weights.head_rows + first_output, outputs)}};
  const DotRows rows = {.x = params.x, .first_row = first_row, .rows = min(int64_t{T::kRows}, params.rows - first_row), .first_column = head * weights.inputs};
  TensorDots<T>(of, rows, weights.inputs, memory);
  for (int i = static_cast<int>(threadIdx.x); i < T::kOutputs * T::kRows; i += kTensorThreads) {
    const int output = i % T::kOutputs, row = i / T::kOutputs;
    if (output >= outputs || row >= rows.rows) continue;
    float y = ProductAt<T>(memory, row, output);
    std::byte* const to = RowOf(params.y, first_row + row);
    const int64_t column = head * weights.outputs + first_output + output;
    if (params.add) y = GetElement(to, column, false) + y;
    PutElement(to, column, params.y.bf16, y);
  }
}

}  // namespace

ATOLL_KERNEL(TensorLinearE4M3N4R16, LinearParams) { TensorLinearBlock<TensorTile<E4M3, 4, 16>>(params); }
ATOLL_KERNEL(TensorLinearE4M3N4R64, LinearParams) { TensorLinearBlock<TensorTile<E4M3, 4, 64>>(params); }
ATOLL_KERNEL(TensorLinearE4M3N2R16, LinearParams) { TensorLinearBlock<TensorTile<E4M3, 2, 16>>(params); }
ATOLL_KERNEL(TensorLinearE4M3N2R32, LinearParams) { TensorLinearBlock<TensorTile<E4M3, 2, 32>>(params); }
ATOLL_KERNEL(TensorLinearE4M3N1R16, LinearParams) { TensorLinearBlock<TensorTile<E4M3, 1, 16>>(params); }
ATOLL_KERNEL(TensorLinearBf16N4R16, LinearParams) { TensorLinearBlock<TensorTile<BFloat16, 4, 16>>(params); }
ATOLL_KERNEL(TensorLinearBf16N4R64, LinearParams) { TensorLinearBlock<TensorTile<BFloat16, 4, 64>>(params); }
ATOLL_KERNEL(TensorLinearBf16N2R16, LinearParams) { TensorLinearBlock<TensorTile<BFloat16, 2, 16>>(params); }
ATOLL_KERNEL(TensorLinearBf16N2R32, LinearParams) { TensorLinearBlock<TensorTile<BFloat16, 2, 32>>(params); }
ATOLL_KERNEL(TensorLinearBf16N1R16, LinearParams) { TensorLinearBlock<TensorTile<BFloat16, 1, 16>>(params); }

}  // namespace atoll::kernels
