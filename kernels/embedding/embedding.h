#pragma once

#include <cstdint>
#include <span>

#include "base/matrix_view.h"
#include "kernels/context.h"
#include "kernels/kernel_error.h"

namespace atoll::kernels {

// out[i] = table[tokens[i]], exact. table: bfloat16 or float32 [vocabulary, hidden]; out: float32 [tokens, hidden]. A token outside
// the table is an error that names it, and nothing is written.
KernelError Embedding(const Context& context, ConstMatrixView table, std::span<const int32_t> tokens, MatrixView out);

}  // namespace atoll::kernels
