#include "kernels/cuda/device_code.h"
#include "kernels/linear/linear_cuda.h"
#include "kernels/linear/warp_dots.h"

namespace atoll::kernels {
namespace {

// Block (x, y, z): outputs 16 x .., rows kRows y .., head z.
template <typename Weight, int kRows>
ATOLL_DEVICE void LinearBlock(const LinearParams& params) {
  ATOLL_SHARED(float, x, kRows * kChunkInputs);
  ATOLL_SHARED(float, totals, kDotWarps * kWarpLanes * kTreeStride);
  const DotSpace<kRows> space = {reinterpret_cast<float (*)[kChunkInputs]>(x), totals};
  const DeviceWeights& weights = params.weights;
  const int64_t head = blockIdx.z, first_row = int64_t{blockIdx.y} * kRows;
  const int64_t first_output = int64_t{blockIdx.x} * kBlockOutputs + threadIdx.x / kWarpLanes * kWarpOutputs;
  const DotRows rows = {.x = params.x, .first_row = first_row, .rows = min(int64_t{kRows}, params.rows - first_row), .first_column = head * weights.inputs};
  float y = WarpDots<Weight, kRows>(weights, head, first_output, rows, space);
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  const int64_t output = first_output + lane / kRows, row = lane % kRows;
  if (lane >= kWarpOutputs * kRows || output >= weights.outputs || row >= rows.rows) return;
  std::byte* const to = RowOf(params.y, first_row + row);
  const int64_t column = head * weights.outputs + output;
  if (params.add) y = GetElement(to, column, false) + y;
  PutElement(to, column, params.y.bf16, y);
}

}  // namespace

ATOLL_KERNEL(LinearE4M3Few, LinearParams) { LinearBlock<E4M3, kFewRows>(params); }
ATOLL_KERNEL(LinearE4M3Many, LinearParams) { LinearBlock<E4M3, kManyRows>(params); }
ATOLL_KERNEL(LinearBf16Few, LinearParams) { LinearBlock<BFloat16, kFewRows>(params); }
ATOLL_KERNEL(LinearBf16Many, LinearParams) { LinearBlock<BFloat16, kManyRows>(params); }
ATOLL_KERNEL(LinearF32Few, LinearParams) { LinearBlock<float, kFewRows>(params); }
ATOLL_KERNEL(LinearF32Many, LinearParams) { LinearBlock<float, kManyRows>(params); }

}  // namespace atoll::kernels
