#include "kernels/cuda/reach.h"

namespace atoll::kernels {

KernelError ReachMatrix(DeviceStream& stream, std::string_view operand, const ConstMatrixView& matrix, DeviceOperand* reached) {
  *reached = {.stride = matrix.stride, .bf16 = matrix.dtype == DType::kBF16};
  if (matrix.rows == 0 || matrix.cols == 0) return {};
  const int64_t elements = (matrix.rows - 1) * matrix.stride + matrix.cols;
  auto* const address = static_cast<std::byte*>(const_cast<void*>(matrix.data));
  return stream.Reach(operand, address, elements * DTypeBytes(matrix.dtype), &reached->data);
}

}  // namespace atoll::kernels
