#include "kernels/gate_topk/gate_topk.h"

#include <algorithm>
#include <limits>
#include <string>

#include "kernels/cpu/row_blocks.h"
#include "kernels/expect.h"
#include "kernels/gate_topk/gate_topk_rows.h"

namespace atoll::kernels {

namespace {

// Keeps the `kept` best of a stream of values with their ids, larger first, then in order of arrival.
struct BestList {
  explicit BestList(int64_t wanted) : kept(wanted) {}   // the arrays are filled as values arrive

  float values[kGateExpertsMax];
  int32_t ids[kGateExpertsMax];
  int64_t count = 0;
  int64_t kept;

  void Offer(float value, int32_t id) {
    if (count == kept && !(value > values[count - 1])) return;
    int64_t at = count < kept ? count++ : count - 1;
    for (; at > 0 && value > values[at - 1]; --at) {
      values[at] = values[at - 1];
      ids[at] = ids[at - 1];
    }
    values[at] = value;
    ids[at] = id;
  }
};

float GroupScore(const float* biased, int64_t size) {
  float first = biased[0];
  if (size == 1) return first;
  float second = -std::numeric_limits<float>::infinity();
  for (int64_t i = 1; i < size; ++i) {
    second = biased[i] > first ? first : std::max(second, biased[i]);
    first = std::max(first, biased[i]);
  }
  return first + second;
}

void MaskAllButTheBestGroups(const GateParams& params, int64_t experts, float* biased) {
  const int64_t size = experts / params.groups;
  BestList groups(params.groups_kept);
  for (int64_t group = 0; group < params.groups; ++group) groups.Offer(GroupScore(biased + group * size, size), static_cast<int32_t>(group));
  bool kept[kGateExpertsMax] = {};
  for (int64_t i = 0; i < groups.count; ++i) kept[groups.ids[i]] = true;
  for (int64_t group = 0; group < params.groups; ++group) {
    if (!kept[group]) std::fill_n(biased + group * size, size, -std::numeric_limits<float>::infinity());
  }
}

KernelError CheckParams(const GateParams& params, int64_t experts) {
  if (experts < 1 || experts > kGateExpertsMax) {
    return InvalidShape("GateTopK: " + std::to_string(experts) + " experts, expected 1 to " + std::to_string(kGateExpertsMax));
  }
  if (params.groups < 1 || experts % params.groups != 0 || params.groups_kept < 1 || params.groups_kept > params.groups) {
    return InvalidShape("GateTopK: " + std::to_string(params.groups) + " groups, " + std::to_string(params.groups_kept) +
                        " kept, do not fit " + std::to_string(experts) + " experts");
  }
  if (params.experts_per_token < 1 || params.experts_per_token > experts) {
    return InvalidShape("GateTopK: " + std::to_string(params.experts_per_token) + " experts per token of " + std::to_string(experts));
  }
  return {};
}

bool RunRow(Isa isa, const GateParams& params, const GateRow& row) {
  if (isa == Isa::kReference) return GateRowReference(params, row);
  float scores[kGateExpertsMax];
  float biased[kGateExpertsMax];
  const auto scores_of = isa == Isa::kAvx2 ? GateScoresAvx2 : GateScoresAvx512;
  if (!scores_of(row.logits, row.bias, row.count, scores, biased)) return false;
  SelectExperts(params, scores, biased, row);
  if (row.scores != nullptr) std::copy_n(scores, row.count, row.scores);
  if (row.biased != nullptr) std::copy_n(biased, row.count, row.biased);
  return true;
}

void FillRefusedRow(const GateParams& params, const GateRow& row) {
  for (int64_t slot = 0; slot < params.experts_per_token; ++slot) {
    row.experts[slot] = static_cast<int32_t>(slot);
    row.weights[slot] = 0;
  }
}

}  // namespace

KernelError CheckGateTopK(const GateTopKArgs& args) {
  const int64_t rows = args.logits.rows;
  const int64_t experts = args.logits.cols;
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckParams(args.params, experts));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("GateTopK's logits", args.logits, Dtypes::kF32, rows, experts));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectSize("GateTopK's bias", args.bias.size(), experts));
  if (!args.delta.empty()) ATOLL_RETURN_IF_KERNEL_ERROR(ExpectSize("GateTopK's delta", args.delta.size(), experts));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectSize("GateTopK's experts", args.experts.size(), rows * args.params.experts_per_token));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectSize("GateTopK's weights", args.weights.size(), rows * args.params.experts_per_token));
  if (args.scores.data != nullptr) ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("GateTopK's scores", args.scores, Dtypes::kF32, rows, experts));
  if (args.biased.data != nullptr) ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("GateTopK's biased scores", args.biased, Dtypes::kF32, rows, experts));
  return ExpectSize("GateTopK's non_finite", args.non_finite.size(), rows);
}

void SelectExperts(const GateParams& params, const float* scores, float* biased, const GateRow& row) {
  if (params.groups_kept < params.groups) MaskAllButTheBestGroups(params, row.count, biased);
  for (int64_t e = 0; row.delta != nullptr && e < row.count; ++e) biased[e] += row.delta[e];
  BestList best(params.experts_per_token);
  for (int64_t e = 0; e < row.count; ++e) best.Offer(biased[e], static_cast<int32_t>(e));
  for (int64_t slot = 0; slot < params.experts_per_token; ++slot) row.experts[slot] = best.ids[slot];
  GateWeights(params, scores, row);
}

void GateWeights(const GateParams& params, const float* scores, const GateRow& row) { GateWeightsOf(params, scores, row.experts, row.weights); }

void GateWeightsOf(const GateParams& params, const float* scores, const int32_t* experts, float* weights) {
  float sum = 0;
  for (int64_t slot = 0; slot < params.experts_per_token; ++slot) {
    weights[slot] = scores[experts[slot]];
    sum += weights[slot];
  }
  for (int64_t slot = 0; slot < params.experts_per_token; ++slot) {
    if (params.normalize) weights[slot] = weights[slot] / (sum + 1e-20f);
    weights[slot] = weights[slot] * params.scaling;
  }
}

KernelError GateTopK(const Context& context, const GateTopKArgs& args) {
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckGateTopK(args));
  const int64_t slots = args.params.experts_per_token;
  ForRows(context, args.logits.rows, args.logits.cols * 8, [&](int64_t r) {
    const GateRow row = {.logits = args.logits.RowAs<float>(r), .bias = args.bias.data(),
                         .delta = args.delta.empty() ? nullptr : args.delta.data(), .count = args.logits.cols,
                         .experts = args.experts.data() + r * slots, .weights = args.weights.data() + r * slots,
                         .scores = args.scores.data == nullptr ? nullptr : args.scores.RowAs<float>(r),
                         .biased = args.biased.data == nullptr ? nullptr : args.biased.RowAs<float>(r)};
    const bool finite = RunRow(context.isa, args.params, row);
    if (!finite) FillRefusedRow(args.params, row);
    args.non_finite[r] = finite ? 0 : 1;
  });
  return {};
}

}  // namespace atoll::kernels
