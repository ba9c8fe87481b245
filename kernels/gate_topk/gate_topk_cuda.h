#pragma once

// GateTopK on a device: gate_topk.h's rule and order, so the CPU's bits. All addresses lie in device memory.

#include "kernels/cuda/operand.h"
#include "kernels/cuda/runtime.h"
#include "kernels/gate_topk/gate_topk.h"

namespace atoll::kernels {

KernelError GateTopK(DeviceStream& stream, const GateTopKArgs& args);

struct GateTopKParams {
  DeviceOperand logits = {};
  DevicePtr<const float> bias = {};
  DevicePtr<const float> delta = {};       // null: none
  GateParams gate = {};
  int64_t experts_total = 0;
  DevicePtr<int32_t> experts = {};
  DevicePtr<float> weights = {};
  DevicePtr<uint8_t> non_finite = {};
  DeviceOperand scores = {}, biased = {};       // null: not wanted
};
ATOLL_DECLARE_KERNEL(GateTopKRows, 32, GateTopKParams);   // a warp per row; shared memory: GateSharedBytes

// scores, biased scores, group scores.
constexpr int64_t GateSharedBytes(int64_t experts) { return 3 * experts * int64_t{sizeof(float)}; }

}  // namespace atoll::kernels
