#pragma once

// Shape checks at an op's entry, each with one sentence: op, operand, expected, found.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/matrix_view.h"
#include "kernels/kernel_error.h"

namespace atoll::kernels {

// [rows, cols] with addressable storage. `dtypes`: which element types the operand may have.
enum class Dtypes : uint8_t { kF32, kF32OrBF16 };
KernelError ExpectMatrix(std::string_view operand, const ConstMatrixView& matrix, Dtypes dtypes, int64_t rows, int64_t cols);

// `found` elements where the other operands ask for `expected`.
KernelError ExpectSize(std::string_view operand, size_t found, int64_t expected);

// InvalidShape with this sentence unless `holds`.
KernelError ExpectTrue(bool holds, std::string_view sentence);

}  // namespace atoll::kernels
