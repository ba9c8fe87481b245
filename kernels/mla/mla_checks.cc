#include "kernels/mla/mla_checks.h"

#include <string>

#include "kernels/expect.h"
#include "kernels/mla/attention_core.h"

namespace atoll::kernels {

namespace {

bool Even(int64_t value) { return value > 0 && value % 2 == 0; }

KernelError CheckRow(const MlaRow& row, int64_t matrix_rows, size_t i) {
  if (row.pages == nullptr || row.position < 0) return InvalidValue("attention row " + std::to_string(i) + " has no pages or a negative position");
  if (row.index >= 0 && row.index < matrix_rows) return {};
  return InvalidValue("attention row " + std::to_string(i) + " is row " + std::to_string(row.index) + " of matrices of " + std::to_string(matrix_rows) + " rows");
}

}  // namespace

KernelError CheckMlaShape(const MlaShape& shape, int64_t layer) {
  const PageLayout& pages = shape.pages;
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectTrue(pages.dtype == DType::kBF16 || pages.dtype == DType::kF32, "attention: pages must be bfloat16 or float32"));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectTrue(layer >= 0 && layer < pages.layers, "attention: the layer is not one of the pages' layers"));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectTrue(shape.heads > 0 && shape.value_dim > 0, "attention: heads and value_dim must be positive"));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectTrue(Even(shape.nope_dim) && Even(pages.latent_dim) && Even(pages.rope_dim),
                                          "attention: nope_dim, latent_dim and rope_dim must be even"));
  return ExpectTrue(pages.RowElements() <= kKeyDimMax && shape.nope_dim + pages.rope_dim <= kKeyDimMax,
                    "attention: keys of more than 1024 elements are not supported");
}

KernelError CheckMlaRows(std::span<const MlaRow> rows, int64_t matrix_rows) {
  for (size_t i = 0; i < rows.size(); ++i) ATOLL_RETURN_IF_KERNEL_ERROR(CheckRow(rows[i], matrix_rows, i));
  return {};
}

KernelError CheckMlaMatrix(std::string_view name, const MlaShape& shape, const ConstMatrixView& matrix, int64_t rows, int64_t width) {
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix(name, matrix, Dtypes::kF32OrBF16, rows, shape.heads * width));
  if (matrix.dtype == shape.pages.dtype) return {};
  return Unsupported(std::string(name) + " is " + DTypeName(matrix.dtype) + ", expected the pages' type " + DTypeName(shape.pages.dtype));
}

KernelError CheckMlaScratch(std::span<std::byte> scratch, int64_t bytes) {
  if (static_cast<int64_t>(scratch.size()) >= bytes && reinterpret_cast<uintptr_t>(scratch.data()) % 64 == 0) return {};
  return InvalidShape("attention: scratch has " + std::to_string(scratch.size()) + " bytes, expected at least " + std::to_string(bytes) +
                      ", aligned to 64");
}

}  // namespace atoll::kernels
