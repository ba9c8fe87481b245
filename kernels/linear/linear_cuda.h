#pragma once

// y = W x on a device, for many rows x, and for many heads at a time. All addresses lie in device memory.
//
// Numerics. bf16 rows, and weights of bf16 or of fp8 whose scale blocks begin where their inputs do: tensor_dots.h. All others, for each row and
// output, with the inputs in blocks of 128: lane l of 32 takes inputs 4 l .. 4 l + 3 of every block, ascending. fp8 weights: acc from 0 by fma over
// the four, then lane's total = fma(scale, acc, total). bf16 and float32 weights: total = fma(w, x, total). The lanes' totals are added as
// LaneTree (warp_dots.h) says. Which of the two it is, and all of its order, is a function of W and of the type of x; so a row's result
// is a function of itself and of W alone.

#include "kernels/cuda/operand.h"
#include "kernels/cuda/runtime.h"
#include "kernels/linear/device_weights.h"
#include "kernels/linear/linear.h"

namespace atoll::kernels {

// x [rows, heads * inputs] bf16 or float32, y [rows, heads * outputs] float32 or bf16: head h takes its columns of x to its columns of y. Modes as
// in linear.h. y must not overlap x.
KernelError Linear(DeviceStream& stream, const DeviceWeights& weights, const ConstMatrixView& x, const MatrixView& y,
                   LinearMode mode = LinearMode::kStore);

struct LinearParams {
  DeviceWeights weights = {};
  DeviceOperand x = {}, y = {};
  int64_t rows = 0;
  bool add = false;
};
// One per weight type, for few rows and for many.
ATOLL_DECLARE_KERNEL(LinearE4M3Few, 128, LinearParams);
ATOLL_DECLARE_KERNEL(LinearE4M3Many, 128, LinearParams);
ATOLL_DECLARE_KERNEL(LinearBf16Few, 128, LinearParams);
ATOLL_DECLARE_KERNEL(LinearBf16Many, 128, LinearParams);
ATOLL_DECLARE_KERNEL(LinearF32Few, 128, LinearParams);
ATOLL_DECLARE_KERNEL(LinearF32Many, 128, LinearParams);

// What a block computes: 16 outputs of 1 or 8 rows.
inline constexpr int kBlockOutputs = 16;
inline constexpr int kFewRows = 1;
inline constexpr int kManyRows = 8;

}  // namespace atoll::kernels
