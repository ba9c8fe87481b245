#pragma once

// Which rows of x a block of a product reads, for kernels.

#include "kernels/cuda/operand_access.h"

namespace atoll::kernels {
namespace {

struct E4M3 {
  uint8_t code;
};

// Row r of the block is row NamedRow(r) of the operand, from column `first_column` on.
struct DotRows {
  DeviceOperand x;
  const int32_t* named = nullptr;   // null: row r is row `first_row` + r
  int64_t first_row = 0;
  int64_t rows = 0;                 // of the block that exist
  int64_t first_column = 0;
};

ATOLL_DEVICE int64_t NamedRow(const DotRows& rows, int row) { return rows.named == nullptr ? rows.first_row + row : rows.named[row]; }

}  // namespace
}  // namespace atoll::kernels
