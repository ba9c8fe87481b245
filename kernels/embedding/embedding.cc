#include "kernels/embedding/embedding.h"

#include <cstring>
#include <string>

#include "kernels/cpu/row_blocks.h"
#include "kernels/expect.h"

namespace atoll::kernels {

namespace {

// Memory sets the pace here and a widening is exact, so one plain loop serves every instruction set.
void CopyTableRow(const ConstMatrixView& table, int64_t token, float* out) {
  if (table.dtype == DType::kF32) {
    std::memcpy(out, table.Row(token), table.cols * sizeof(float));
    return;
  }
  const BFloat16* row = table.RowAs<BFloat16>(token);
  for (int64_t i = 0; i < table.cols; ++i) out[i] = ToFloat(row[i]);
}

}  // namespace

KernelError Embedding(const Context& context, ConstMatrixView table, std::span<const int32_t> tokens, MatrixView out) {
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("Embedding's table", table, Dtypes::kF32OrBF16, table.rows, table.cols));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("Embedding's out", out, Dtypes::kF32, static_cast<int64_t>(tokens.size()), table.cols));
  for (int32_t token : tokens) {
    if (token < 0 || token >= table.rows) {
      return InvalidValue("token " + std::to_string(token) + " is outside the embedding table of " + std::to_string(table.rows) + " rows");
    }
  }
  ForRows(context, out.rows, out.cols, [&](int64_t row) { CopyTableRow(table, tokens[row], out.RowAs<float>(row)); });
  return {};
}

}  // namespace atoll::kernels
