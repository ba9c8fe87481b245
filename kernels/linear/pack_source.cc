#include "kernels/linear/pack_source.h"

#include <string>

namespace atoll::kernels {

namespace {

constexpr int64_t kExtentMax = int64_t{1} << 31;   // of rows, columns and strides: keeps every product in 63 bits

int64_t CeilDiv(int64_t value, int64_t unit) { return (value + unit - 1) / unit; }

}  // namespace

KernelError CheckPackSource(const PackSource& source) {
  if (source.dtype != DType::kBF16 && source.dtype != DType::kF32 && source.dtype != DType::kF8E4M3) {
    return Unsupported(std::string("weights of a linear op must be bfloat16, float32 or float8_e4m3, found ") + DTypeName(source.dtype));
  }
  for (int64_t extent : {source.row0, source.rows, source.col0, source.cols, source.row_stride, source.scale_stride}) {
    if (extent < 0 || extent > kExtentMax) {
      return InvalidShape("a weight's shape must lie between 0 and 2^31, found " + std::to_string(extent));
    }
  }
  if (source.row_stride < source.col0 + source.cols) {
    return InvalidShape("columns up to " + std::to_string(source.col0 + source.cols) + " wanted of a weight whose rows are " +
                        std::to_string(source.row_stride) + " long");
  }
  if (source.scales != nullptr && source.scale_stride < CeilDiv(source.col0 + source.cols, kScaleBlock)) {
    return InvalidShape("scale rows must hold " + std::to_string(CeilDiv(source.col0 + source.cols, kScaleBlock)) +
                        " blocks, found " + std::to_string(source.scale_stride));
  }
  return {};
}

const std::byte* SourceElement(const PackSource& source, int64_t output, int64_t input) {
  const int64_t row = source.row0 + (source.transposed ? input : output);
  const int64_t col = source.col0 + (source.transposed ? output : input);
  return static_cast<const std::byte*>(source.data) + (row * source.row_stride + col) * DTypeBytes(source.dtype);
}

float SourceScale(const PackSource& source, int64_t output, int64_t input) {
  if (source.scales == nullptr) return 1.0f;
  const int64_t row = source.row0 + (source.transposed ? input : output);
  const int64_t col = source.col0 + (source.transposed ? output : input);
  return source.scales[row / kScaleBlock * source.scale_stride + col / kScaleBlock];
}

KernelError NanWeight(const PackSource& source, int64_t output, int64_t input) {
  return InvalidValue("a float8_e4m3 weight is NaN at row " + std::to_string(source.row0 + (source.transposed ? input : output)) +
                      ", column " + std::to_string(source.col0 + (source.transposed ? output : input)) +
                      ": the checkpoint is damaged or was not quantized as e4m3fn");
}

}  // namespace atoll::kernels
