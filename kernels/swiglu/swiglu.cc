#include "kernels/swiglu/swiglu.h"

#include "kernels/cpu/row_blocks.h"
#include "kernels/expect.h"
#include "kernels/swiglu/swiglu_rows.h"

namespace atoll::kernels {

SwiGluRow SwiGluRowOf(Isa isa, DType out) {
  const bool bf16 = out == DType::kBF16;
  switch (isa) {
    case Isa::kReference: return bf16 ? SwiGluBf16Reference : SwiGluF32Reference;
    case Isa::kAvx2: return bf16 ? SwiGluBf16Avx2 : SwiGluF32Avx2;
    case Isa::kAvx512:
    case Isa::kAvx512Bf16: return bf16 ? SwiGluBf16Avx512 : SwiGluF32Avx512;
  }
  return bf16 ? SwiGluBf16Reference : SwiGluF32Reference;
}

KernelError SwiGlu(const Context& context, ConstMatrixView gate, ConstMatrixView up, MatrixView out) {
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("SwiGlu's gate", gate, Dtypes::kF32, gate.rows, gate.cols));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("SwiGlu's up", up, Dtypes::kF32, gate.rows, gate.cols));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("SwiGlu's out", out, Dtypes::kF32OrBF16, gate.rows, gate.cols));
  const SwiGluRow row_of = SwiGluRowOf(context.isa, out.dtype);
  ForRows(context, gate.rows, gate.cols * 4, [&](int64_t row) {
    row_of(gate.RowAs<float>(row), up.RowAs<float>(row), gate.cols, out.Row(row));
  });
  return {};
}

}  // namespace atoll::kernels
