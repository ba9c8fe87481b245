#include "kernels/rms_norm/rms_norm.h"

#include "kernels/cpu/row_blocks.h"
#include "kernels/expect.h"
#include "kernels/rms_norm/rms_norm_rows.h"

namespace atoll::kernels {

RmsNormRowFunction RmsNormRowOf(Isa isa) {
  switch (isa) {
    case Isa::kReference: return RmsNormReference;
    case Isa::kAvx2: return RmsNormAvx2;
    case Isa::kAvx512:
    case Isa::kAvx512Bf16: return RmsNormAvx512;
  }
  return RmsNormReference;
}

KernelError RmsNorm(const Context& context, ConstMatrixView x, std::span<const float> weight, float eps, MatrixView out) {
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("RmsNorm's x", x, Dtypes::kF32, x.rows, x.cols));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("RmsNorm's out", out, Dtypes::kF32OrBF16, x.rows, x.cols));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectSize("RmsNorm's weight", weight.size(), x.cols));
  const RmsNormRowFunction run = RmsNormRowOf(context.isa);
  ForRows(context, x.rows, x.cols, [&](int64_t row) {
    run({.x = x.RowAs<float>(row), .weight = weight.data(), .width = x.cols, .eps = eps, .bf16 = out.dtype == DType::kBF16,
         .out = out.Row(row)});
  });
  return {};
}

}  // namespace atoll::kernels
