#include "kernels/expect.h"

namespace atoll::kernels {

namespace {

std::string Shape(int64_t rows, int64_t cols) { return "[" + std::to_string(rows) + ", " + std::to_string(cols) + "]"; }

}  // namespace

KernelError ExpectMatrix(std::string_view operand, const ConstMatrixView& matrix, Dtypes dtypes, int64_t rows, int64_t cols) {
  const std::string name(operand);
  if (matrix.rows != rows || matrix.cols != cols) {
    return InvalidShape(name + " is " + Shape(matrix.rows, matrix.cols) + ", expected " + Shape(rows, cols));
  }
  const bool bf16 = matrix.dtype == DType::kBF16 && dtypes == Dtypes::kF32OrBF16;
  if (matrix.dtype != DType::kF32 && !bf16) {
    return Unsupported(name + " is " + DTypeName(matrix.dtype) + ", expected float32" +
                       (dtypes == Dtypes::kF32OrBF16 ? " or bfloat16" : ""));
  }
  if (rows < 0 || cols < 0 || (rows > 1 && matrix.stride < cols)) {
    return InvalidShape(name + " has rows of " + std::to_string(cols) + " elements but a stride of " + std::to_string(matrix.stride));
  }
  if (rows > 0 && cols > 0 && matrix.data == nullptr) return InvalidShape(name + " has no storage");
  return {};
}

KernelError ExpectSize(std::string_view operand, size_t found, int64_t expected) {
  if (expected >= 0 && found == static_cast<size_t>(expected)) return {};
  return InvalidShape(std::string(operand) + " has " + std::to_string(found) + " elements, expected " + std::to_string(expected));
}

KernelError ExpectTrue(bool holds, std::string_view sentence) {
  if (holds) return {};
  return InvalidShape(std::string(sentence));
}

}  // namespace atoll::kernels
