#pragma once

// Weighted sum of a row's expert results, the shared expert and the residual (spec 3.7, design section 9).
//
// Numerics, per element: acc = 0; slots in selection order: acc = fma(weight, expert row, acc); acc = acc + shared (where
// there is one); residual = residual + acc. All float32, no rounding to bfloat16. Every path gives the same bits.

#include <cstdint>
#include <span>

#include "base/matrix_view.h"
#include "kernels/context.h"
#include "kernels/kernel_error.h"

namespace atoll::kernels {

struct CombineArgs {
  int64_t slots = 0;                           // experts per token
  std::span<const void* const> expert_rows;    // [rows, slots]: address of each result row of `width` elements
  DType expert_dtype = DType::kBF16;           // bfloat16 or float32
  std::span<const float> weights;              // [rows, slots]
  ConstMatrixView shared = {};                   // float32 [rows, width], or null data: none
  MatrixView residual;                         // float32 [rows, width], in and out
  std::span<uint8_t> non_finite;               // out [rows]: 1 where an element of an expert row was not finite
};
KernelError Combine(const Context& context, const CombineArgs& args);

}  // namespace atoll::kernels
