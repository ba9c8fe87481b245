#include "kernels/cuda/reach.h"
#include "kernels/expect.h"
#include "kernels/linear/linear_cuda.h"
#include "kernels/linear/tensor_linear_cuda.h"
#include "kernels/linear/tensor_space.h"

namespace atoll::kernels {

namespace {

// A kernel and what one of its blocks computes.
struct Choice {
  const DeviceKernel<LinearParams>& kernel;
  int64_t outputs, rows;
  int64_t shared_bytes = 0;
};

KernelError Check(const DeviceWeights& weights, const ConstMatrixView& x, const MatrixView& y, LinearMode mode) {
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("Linear's x", x, Dtypes::kF32OrBF16, y.rows, weights.heads * weights.inputs));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("Linear's y", y, Dtypes::kF32OrBF16, x.rows, weights.heads * weights.outputs));
  return ExpectTrue(mode == LinearMode::kStore || y.dtype == DType::kF32, "Linear adds to float32 results alone");
}

Choice PlainChoice(DType weights, int64_t rows) {
  const bool many = rows > kFewRows;
  const int64_t tile = many ? kManyRows : kFewRows;
  switch (weights) {
    case DType::kF8E4M3: return {many ? kLinearE4M3Many : kLinearE4M3Few, kBlockOutputs, tile};
    case DType::kBF16: return {many ? kLinearBf16Many : kLinearBf16Few, kBlockOutputs, tile};
    default: return {many ? kLinearF32Many : kLinearF32Few, kBlockOutputs, tile};
  }
}

Choice TensorChoice(const DeviceWeights& weights, int64_t rows) {
  const bool fp8 = weights.dtype == DType::kF8E4M3, few = rows <= 16;
  const int warps = WarpsAlongOutputs(weights.outputs * weights.heads);
  const auto choice = [&](const DeviceKernel<LinearParams>& e4m3, const DeviceKernel<LinearParams>& bf16, int64_t tile) {
    return Choice{fp8 ? e4m3 : bf16, warps * int64_t{kWarpOutputRows}, tile, TensorSharedBytes(DTypeBytes(weights.dtype), warps, tile)};
  };
  switch (warps) {
    case 4: return few ? choice(kTensorLinearE4M3N4R16, kTensorLinearBf16N4R16, 16) : choice(kTensorLinearE4M3N4R64, kTensorLinearBf16N4R64, 64);
    case 2: return few ? choice(kTensorLinearE4M3N2R16, kTensorLinearBf16N2R16, 16) : choice(kTensorLinearE4M3N2R32, kTensorLinearBf16N2R32, 32);
    default: return choice(kTensorLinearE4M3N1R16, kTensorLinearBf16N1R16, 16);
  }
}

}  // namespace

KernelError Linear(DeviceStream& stream, const DeviceWeights& weights, const ConstMatrixView& x, const MatrixView& y, LinearMode mode) {
  ATOLL_RETURN_IF_KERNEL_ERROR(Check(weights, x, y, mode));
  if (y.rows == 0) return {};
  LinearParams params = {.weights = weights, .rows = y.rows, .add = mode == LinearMode::kAdd};
  ATOLL_RETURN_IF_KERNEL_ERROR(stream.Reach("Linear's weights", weights.data.address(), weights.Bytes(), &params.weights.data));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "Linear's x", x, &params.x));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "Linear's y", y, &params.y));
  const bool tensor = x.dtype == DType::kBF16 && TensorWeights(weights);
  const Choice choice = tensor ? TensorChoice(weights, y.rows) : PlainChoice(weights.dtype, y.rows);
  const LaunchShape shape = {.grid = {BlocksOf(weights.outputs, choice.outputs), BlocksOf(y.rows, choice.rows), static_cast<uint32_t>(weights.heads)},
                             .block = {choice.kernel.threads_max}, .shared_bytes = choice.shared_bytes};
  return stream.Launch(choice.kernel, shape, params);
}

}  // namespace atoll::kernels
