#pragma once

// SwiGLU experts over rows grouped by expert: out = down( silu(gate x) * (up x) ), also the shared expert and the dense MLP
// (one group).
//
// Numerics (P1). gate, up and down as in linear.h; silu as in swiglu.h; the product h is rounded to bf16 when x is bf16 and kept
// float32 when x is float32; an output row is rounded once when `out` is bf16. Rows are unweighted, and each depends on its own
// x and expert alone.

#include <cstdint>
#include <span>

#include "base/matrix_view.h"
#include "kernels/context.h"
#include "kernels/cpu/huge_buffer.h"
#include "kernels/kernel_error.h"
#include "kernels/linear/packed_matrix.h"

namespace atoll::kernels {

struct ExpertGroup {
  PackedMatrix gate;         // [intermediate, hidden]
  PackedMatrix up;           // [intermediate, hidden]
  PackedMatrix down;         // [hidden, intermediate]
  int64_t first_pair = 0;    // its pairs are [first_pair, first_pair + pair_count)
  int64_t pair_count = 0;
};

struct GroupedExpertsLimits {
  int64_t pairs_max = 0;
  int64_t intermediate_max = 0;
};

// Owns the workspace for h, sized once; Run allocates nothing. One call of Run at a time.
class GroupedExperts {
 public:
  explicit GroupedExperts(const GroupedExpertsLimits& limits);

  // x [rows, hidden] bf16 or float32; pair p reads row pair_row[p] of x and writes row p of out [pairs, hidden], bf16 or float32.
  // Groups ascend by first_pair and do not overlap; pairs in no group stay as they are. An empty pair_row means pair p reads
  // row p. More pairs or a wider expert than the limits is an error.
  KernelError Run(const Context& context, std::span<const ExpertGroup> groups, const ConstMatrixView& x,
                  std::span<const int32_t> pair_row, const MatrixView& out);

 private:
  GroupedExpertsLimits limits_;
  int64_t product_stride_;
  HugeBuffer products_;   // h [pairs, intermediate], elements of the activation dtype
};

}  // namespace atoll::kernels
