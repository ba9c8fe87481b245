#include "kernels/cuda/device_code.h"
#include "kernels/cuda/operand_access.h"
#include "kernels/embedding/embedding_cuda.h"

namespace atoll::kernels {

ATOLL_KERNEL(EmbeddingRows, EmbeddingParams) {
  const int64_t token = params.tokens[blockIdx.x];
  const bool known = token >= 0 && token < params.vocabulary;
  const std::byte* const from = RowOf(params.table, known ? token : 0);
  std::byte* const out = RowOf(params.out, blockIdx.x);
  for (int64_t i = threadIdx.x; i < params.width; i += blockDim.x) {
    PutElement(out, i, false, known ? GetElement(from, i, params.table.bf16) : NotANumber());
  }
}

}  // namespace atoll::kernels
