#include "kernels/cuda/device_code.h"
#include "kernels/cuda/operand_access.h"
#include "kernels/gate_topk/gate_topk_cuda.h"
#include "kernels/math/lanes_device.h"
// After the lanes that it is written over.
#include "kernels/math/float_functions.h"

namespace atoll::kernels {
namespace {

constexpr unsigned kAllLanes = 0xFFFFFFFFu;

struct Best {
  float value;
  int index;   // -1: none
};

// The better one stays: larger, among equals the lower index.
ATOLL_DEVICE void Offer(float value, int index, Best& best) {
  if (index < 0) return;
  if (best.index < 0 || value > best.value || (value == best.value && index < best.index)) best = {value, index};
}

// The best of values[0, count) that no lane has taken, the same in all lanes. Lane l looks after the values l + 32 i; bit i of its `taken`.
ATOLL_DEVICE Best TakeBest(const float* values, int count, uint64_t& taken) {
  const int lane = static_cast<int>(threadIdx.x);
  Best best = {0.0f, -1};
  for (int i = 0; lane + kWarpLanes * i < count; ++i) {
    if ((taken >> i & 1) == 0) Offer(values[lane + kWarpLanes * i], lane + kWarpLanes * i, best);
  }
  for (int offset = 16; offset > 0; offset /= 2) {
    const float value = __shfl_xor_sync(kAllLanes, best.value, offset);
    const int index = __shfl_xor_sync(kAllLanes, best.index, offset);
    Offer(value, index, best);
  }
  if (best.index >= 0 && best.index % kWarpLanes == lane) taken |= uint64_t{1} << (best.index / kWarpLanes);
  return best;
}

ATOLL_DEVICE float GroupScore(const float* biased, int size) {
  float first = biased[0];
  if (size == 1) return first;
  float second = MinusInfinity();
  for (int i = 1; i < size; ++i) {
    second = biased[i] > first ? first : Max(second, biased[i]);
    first = Max(first, biased[i]);
  }
  return first + second;
}

ATOLL_DEVICE void MaskAllButTheBestGroups(const GateTopKParams& params, float* biased, float* group_scores) {
  const int lane = static_cast<int>(threadIdx.x), groups = static_cast<int>(params.gate.groups);
  const int size = static_cast<int>(params.experts_total) / groups;
  for (int group = lane; group < groups; group += kWarpLanes) group_scores[group] = GroupScore(biased + group * size, size);
  __syncwarp();
  uint64_t kept = 0;
  for (int64_t i = 0; i < params.gate.groups_kept; ++i) TakeBest(group_scores, groups, kept);
  for (int i = 0; lane + kWarpLanes * i < groups; ++i) {
    if ((kept >> i & 1) != 0) continue;
    for (int e = 0; e < size; ++e) biased[(lane + kWarpLanes * i) * size + e] = MinusInfinity();
  }
  __syncwarp();
}

// False where a logit is not finite; the outputs are then untouched.
ATOLL_DEVICE bool Scores(const GateTopKParams& params, const float* logits, float* scores, float* biased) {
  bool bad = false;
  for (int64_t e = threadIdx.x; e < params.experts_total; e += kWarpLanes) {
    bad = bad || !IsFinite(logits[e]);
    scores[e] = 1.0f / (1.0f + Exp(0.0f - logits[e]));
    biased[e] = scores[e] + params.bias[e];
  }
  return __any_sync(kAllLanes, bad) == 0;
}

ATOLL_DEVICE void Refuse(const GateTopKParams& params, int32_t* experts, float* weights) {
  for (int64_t slot = threadIdx.x; slot < params.gate.experts_per_token; slot += kWarpLanes) {
    experts[slot] = static_cast<int32_t>(slot);
    weights[slot] = 0;
  }
}

// Every lane knows the choice as it is made; a lane writes the slots that are its own.
ATOLL_DEVICE void Choose(const GateTopKParams& params, const float* scores, const float* biased, int32_t* experts, float* weights) {
  const GateParams& gate = params.gate;
  uint64_t taken = 0;
  float sum = 0;
  for (int64_t slot = 0; slot < gate.experts_per_token; ++slot) {
    const Best best = TakeBest(biased, static_cast<int>(params.experts_total), taken);
    const float score = scores[best.index];
    sum += score;
    if (slot % kWarpLanes != threadIdx.x) continue;
    experts[slot] = best.index;
    weights[slot] = score;
  }
  for (int64_t slot = threadIdx.x; slot < gate.experts_per_token; slot += kWarpLanes) {
    float weight = weights[slot];
    if (gate.normalize) weight = weight / (sum + 1e-20f);
    weights[slot] = weight * gate.scaling;
  }
}

ATOLL_DEVICE void CopyOut(const DeviceOperand& to, int64_t row, const float* from, int64_t count) {
  if (!to.data) return;
  float* const out = reinterpret_cast<float*>(RowOf(to, row));
  for (int64_t i = threadIdx.x; i < count; i += kWarpLanes) out[i] = from[i];
}

}  // namespace

ATOLL_KERNEL(GateTopKRows, GateTopKParams) {
  ATOLL_DYNAMIC_SHARED(memory);
  float* const scores = reinterpret_cast<float*>(memory);
  float* const biased = scores + params.experts_total;
  const int64_t row = blockIdx.x;
  int32_t* const experts = params.experts.address() + row * params.gate.experts_per_token;
  float* const weights = params.weights.address() + row * params.gate.experts_per_token;
  const bool finite = Scores(params, reinterpret_cast<const float*>(RowOf(params.logits, row)), scores, biased);
  if (threadIdx.x == 0) params.non_finite[row] = finite ? 0 : 1;
  if (!finite) return Refuse(params, experts, weights);
  __syncwarp();
  if (params.gate.groups_kept < params.gate.groups) MaskAllButTheBestGroups(params, biased, biased + params.experts_total);
  for (int64_t e = threadIdx.x; params.delta && e < params.experts_total; e += kWarpLanes) biased[e] += params.delta[e];
  __syncwarp();
  Choose(params, scores, biased, experts, weights);
  CopyOut(params.scores, row, scores, params.experts_total);
  CopyOut(params.biased, row, biased, params.experts_total);
}

}  // namespace atoll::kernels
