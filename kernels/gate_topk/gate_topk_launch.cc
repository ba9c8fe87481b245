#include "kernels/cuda/reach.h"
#include "kernels/gate_topk/gate_topk_cuda.h"
#include "kernels/gate_topk/gate_topk_rows.h"

namespace atoll::kernels {

KernelError GateTopK(DeviceStream& stream, const GateTopKArgs& args) {
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckGateTopK(args));
  if (args.logits.rows == 0) return {};
  GateTopKParams params = {.gate = args.params, .experts_total = args.logits.cols};
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "GateTopK's logits", args.logits, &params.logits));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "GateTopK's bias", args.bias, &params.bias));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "GateTopK's delta", args.delta, &params.delta));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "GateTopK's experts", args.experts, &params.experts));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "GateTopK's weights", args.weights, &params.weights));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "GateTopK's non_finite", args.non_finite, &params.non_finite));
  if (args.scores.data != nullptr) ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "GateTopK's scores", args.scores, &params.scores));
  if (args.biased.data != nullptr) ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "GateTopK's biased scores", args.biased, &params.biased));
  return stream.Launch(kGateTopKRows, {.grid = {static_cast<uint32_t>(args.logits.rows)}, .block = {kGateTopKRows.threads_max},
                                       .shared_bytes = GateSharedBytes(args.logits.cols)}, params);
}

}  // namespace atoll::kernels
