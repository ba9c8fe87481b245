#include "kernels/cuda/reach.h"
#include "kernels/expect.h"
#include "kernels/swiglu/swiglu_cuda.h"

namespace atoll::kernels {

KernelError SwiGlu(DeviceStream& stream, ConstMatrixView gate, ConstMatrixView up, MatrixView out) {
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("SwiGlu's gate", gate, Dtypes::kF32, out.rows, out.cols));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("SwiGlu's up", up, Dtypes::kF32, out.rows, out.cols));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("SwiGlu's out", out, Dtypes::kF32OrBF16, out.rows, out.cols));
  if (out.rows == 0 || out.cols == 0) return {};
  SwiGluParams params = {.width = out.cols};
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "SwiGlu's gate", gate, &params.gate));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "SwiGlu's up", up, &params.up));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "SwiGlu's out", out, &params.out));
  return stream.Launch(kSwiGluRows, {.grid = {static_cast<uint32_t>(out.rows)}, .block = {kSwiGluRows.threads_max}}, params);
}

}  // namespace atoll::kernels
