#include "kernels/combine/combine_checks.h"
#include "kernels/combine/combine_cuda.h"
#include "kernels/cuda/reach.h"

namespace atoll::kernels {

KernelError Combine(DeviceStream& stream, const CombineArgs& args) {
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckCombineShapes(args));
  if (args.residual.rows == 0) return {};
  CombineParams params = {.slots = args.slots, .bf16 = args.expert_dtype == DType::kBF16, .width = args.residual.cols};
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "Combine's expert_rows", args.expert_rows, &params.expert_rows));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "Combine's weights", args.weights, &params.weights));
  if (args.shared.data != nullptr) ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "Combine's shared", args.shared, &params.shared));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "Combine's residual", args.residual, &params.residual));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "Combine's non_finite", args.non_finite, &params.non_finite));
  return stream.Launch(kCombineRows, {.grid = {static_cast<uint32_t>(args.residual.rows)}, .block = {kCombineRows.threads_max}}, params);
}

}  // namespace atoll::kernels
