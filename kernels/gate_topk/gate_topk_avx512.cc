#include "kernels/math/lanes_avx512.h"
// After the lanes that it is written over.
#include "kernels/gate_topk/gate_scores.h"
#include "kernels/gate_topk/gate_topk_lanes.h"

namespace atoll::kernels {

bool GateScoresAvx512(const float* logits, const float* bias, int64_t experts, float* scores, float* biased) {
  return GateScoresLanes(logits, bias, experts, scores, biased);
}

}  // namespace atoll::kernels
