#include "kernels/cuda/reach.h"
#include "kernels/embedding/embedding_cuda.h"
#include "kernels/expect.h"

namespace atoll::kernels {

KernelError Embedding(DeviceStream& stream, ConstMatrixView table, std::span<const int32_t> tokens, MatrixView out) {
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("Embedding's table", table, Dtypes::kF32OrBF16, table.rows, table.cols));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("Embedding's out", out, Dtypes::kF32, static_cast<int64_t>(tokens.size()), table.cols));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectTrue(table.rows > 0, "Embedding: the table is empty"));
  if (out.rows == 0 || out.cols == 0) return {};
  EmbeddingParams params = {.vocabulary = table.rows, .width = table.cols};
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "Embedding's table", table, &params.table));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "Embedding's tokens", tokens, &params.tokens));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "Embedding's out", out, &params.out));
  return stream.Launch(kEmbeddingRows, {.grid = {static_cast<uint32_t>(out.rows)}, .block = {kEmbeddingRows.threads_max}}, params);
}

}  // namespace atoll::kernels
