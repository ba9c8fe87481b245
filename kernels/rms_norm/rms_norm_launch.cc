#include "kernels/cuda/reach.h"
#include "kernels/expect.h"
#include "kernels/rms_norm/rms_norm_cuda.h"

namespace atoll::kernels {

KernelError RmsNorm(DeviceStream& stream, ConstMatrixView x, std::span<const float> weight, float eps, MatrixView out) {
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("RmsNorm's x", x, Dtypes::kF32, x.rows, x.cols));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("RmsNorm's out", out, Dtypes::kF32OrBF16, x.rows, x.cols));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectSize("RmsNorm's weight", weight.size(), x.cols));
  if (x.rows == 0 || x.cols == 0) return {};
  DeviceOperand from;
  RmsNormParams params = {.x_stride = x.stride, .width = x.cols, .eps = eps};
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "RmsNorm's x", x, &from));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "RmsNorm's weight", weight, &params.weight));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "RmsNorm's out", out, &params.out));
  params.x = Floats(from);
  return stream.Launch(kRmsNormRows, {.grid = {static_cast<uint32_t>(x.rows)}, .block = {kRmsNormRows.threads_max}}, params);
}

}  // namespace atoll::kernels
