#pragma once

// Choice of the routed experts (spec 3.6, noaux_tc with sigmoid scores). gate_topk_reference.cc is the rule in plain loops.
//
// Numerics, per row: s = 1 / (1 + Exp(0 - logit)); b = s + bias: for selection only. A group's score is the sum of its two largest b (of its
// only one); the groups_kept best groups stay, b of all other experts becomes -infinity; then b += delta, where there is one: the choice of
// groups never sees it, so that |delta| <= epsilon trades only experts whose b differ by 2 epsilon at most. The experts_per_token largest b are
// chosen. Ties, among groups and experts: the lower index. Slots are in selection order: larger b first, then lower id.
// weight = s; with `normalize` the weights are added in slot order and each becomes weight / (sum + 1e-20); then weight * scaling.

#include <cstdint>
#include <span>

#include "base/matrix_view.h"
#include "kernels/context.h"
#include "kernels/kernel_error.h"

namespace atoll::kernels {

struct GateParams {
  int64_t groups = 1;              // divides the number of experts
  int64_t groups_kept = 1;
  int64_t experts_per_token = 0;
  bool normalize = true;           // norm_topk_prob
  float scaling = 1;               // routed_scaling_factor
};

struct GateTopKArgs {
  ConstMatrixView logits;            // float32 [rows, experts]
  std::span<const float> bias;       // [experts]
  std::span<const float> delta = {}; // [experts], or empty: no routing bias
  GateParams params;
  std::span<int32_t> experts;        // out [rows, experts_per_token]: ids in selection order, distinct
  std::span<float> weights;          // out [rows, experts_per_token]
  std::span<uint8_t> non_finite;     // out [rows]: 1 where a logit was not finite; such a row gets ids 0, 1, ... and weights 0
  MatrixView scores = {};            // out float32 [rows, experts], or empty: s; untouched in a row that is not finite
  MatrixView biased = {};            // likewise: b as the experts were chosen by
};
KernelError GateTopK(const Context& context, const GateTopKArgs& args);

// The weights that GateTopK gives to `experts` [experts_per_token], in slot order, from their row of scores: for a choice
// that was changed afterwards.
void GateWeightsOf(const GateParams& params, const float* scores, const int32_t* experts, float* weights);

}  // namespace atoll::kernels
