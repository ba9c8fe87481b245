#pragma once

// y = W x for many rows x: every matrix product of the model but attention's scores.
//
// Numerics (P1). For each row and output, k runs in ascending pairs with the odd element first,
//   for i = k0, k0 + 2, ...: acc = fma(w[i + 1], x[i + 1], acc); acc = fma(w[i], x[i], acc)
// in float32 with denormals flushed (what vdpbf16ps does); a missing odd element is 0 x 0. bf16 and float32 weights: one
// accumulator over all k. fp8 weights: a fresh accumulator per k block of 128 (aligned to the scale blocks of the source),
// then total = fma(scale, acc, total), blocks ascending. Outputs lie in the lanes; k is never split. So a row's result depends
// neither on the other rows nor on the instruction set, the number of threads or the batch.

#include <cstdint>
#include <span>

#include "base/matrix_view.h"
#include "kernels/context.h"
#include "kernels/kernel_error.h"
#include "kernels/linear/packed_matrix.h"

namespace atoll::kernels {

enum class LinearMode : uint8_t {
  kStore,   // y = W x, rounded once when y is bf16
  kAdd,     // y += W x, one float32 addition of the finished product; y float32
};

struct LinearTask {
  PackedMatrix weights;              // [outputs, inputs]
  ConstMatrixView x;                 // [rows, inputs] bf16 or float32
  MatrixView y;                      // [rows, outputs] float32 or bf16; must not overlap x
  LinearMode mode = LinearMode::kStore;
};

// All tasks in one parallel region, none of them seeing another's result. Zero rows are fine.
KernelError LinearBatch(const Context& context, std::span<const LinearTask> tasks);

KernelError Linear(const Context& context, const PackedMatrix& weights, const ConstMatrixView& x, const MatrixView& y,
                   LinearMode mode = LinearMode::kStore);

}  // namespace atoll::kernels
