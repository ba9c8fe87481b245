#include "kernels/combine/combine.h"

#include <string>

#include "kernels/combine/combine_checks.h"
#include "kernels/combine/combine_rows.h"
#include "kernels/cpu/row_blocks.h"
#include "kernels/expect.h"

namespace atoll::kernels {

namespace {

using CombineFunction = bool (*)(const CombineRow&);

CombineFunction FunctionOf(Isa isa) {
  switch (isa) {
    case Isa::kReference: return CombineReference;
    case Isa::kAvx2: return CombineAvx2;
    case Isa::kAvx512:
    case Isa::kAvx512Bf16: return CombineAvx512;
  }
  return CombineReference;
}

KernelError Check(const CombineArgs& args) {
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckCombineShapes(args));
  for (size_t i = 0; i < args.expert_rows.size(); ++i) {
    if (args.expert_rows[i] == nullptr) {
      return InvalidValue("Combine: row " + std::to_string(i / args.slots) + " has no expert row in slot " + std::to_string(i % args.slots));
    }
  }
  return {};
}

}  // namespace

KernelError CheckCombineShapes(const CombineArgs& args) {
  const int64_t rows = args.residual.rows;
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("Combine's residual", args.residual, Dtypes::kF32, rows, args.residual.cols));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectTrue(args.slots >= 0, "Combine: slots must not be negative"));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectSize("Combine's expert_rows", args.expert_rows.size(), rows * args.slots));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectSize("Combine's weights", args.weights.size(), rows * args.slots));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectSize("Combine's non_finite", args.non_finite.size(), rows));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectTrue(args.expert_dtype == DType::kBF16 || args.expert_dtype == DType::kF32,
                                          "Combine: expert rows must be bfloat16 or float32"));
  if (args.shared.data != nullptr) {
    ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("Combine's shared", args.shared, Dtypes::kF32, rows, args.residual.cols));
  }
  return {};
}

KernelError Combine(const Context& context, const CombineArgs& args) {
  ATOLL_RETURN_IF_KERNEL_ERROR(Check(args));
  const CombineFunction run = FunctionOf(context.isa);
  ForRows(context, args.residual.rows, args.residual.cols * (args.slots + 2), [&](int64_t row) {
    const bool finite = run({.expert_rows = args.expert_rows.data() + row * args.slots,
                             .weights = args.weights.data() + row * args.slots,
                             .slots = args.slots,
                             .bf16 = args.expert_dtype == DType::kBF16,
                             .shared = args.shared.data == nullptr ? nullptr : args.shared.RowAs<float>(row),
                             .residual = args.residual.RowAs<float>(row),
                             .width = args.residual.cols});
    args.non_finite[row] = finite ? 0 : 1;
  });
  return {};
}

}  // namespace atoll::kernels
