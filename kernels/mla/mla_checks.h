#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/mla/mla_rows.h"

namespace atoll::kernels {

KernelError CheckMlaShape(const MlaShape& shape, int64_t layer);
// The same, and what mla_cuda.h asks beyond it.
KernelError CheckDeviceMlaShape(const MlaShape& shape, int64_t layer);
KernelError CheckMlaRows(std::span<const MlaRow> rows, int64_t matrix_rows);
// [rows, heads * width] in the pages' dtype.
KernelError CheckMlaMatrix(std::string_view name, const MlaShape& shape, const ConstMatrixView& matrix, int64_t rows, int64_t width);
KernelError CheckMlaScratch(std::span<std::byte> scratch, int64_t bytes);

}  // namespace atoll::kernels
