#include "attention_node/routing_bias/biased_gate.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/log.h"

namespace atoll::attention_node {
namespace {

// Decisions over which the share of changed ones is judged.
constexpr uint64_t kWindowDecisions = 20000;

void AddCounts(const node::RoutingBiasCounts& more, node::RoutingBiasCounts& sum) {
  sum.decisions += more.decisions;
  sum.changed += more.changed;
  sum.score_mass += more.score_mass;
  sum.score_mass_kept += more.score_mass_kept;
  sum.batches += more.batches;
  sum.busiest_before += more.busiest_before;
  sum.busiest_after += more.busiest_after;
  sum.switched_off = sum.switched_off || more.switched_off;
}

}  // namespace

void BiasedGate::SetView(const node::ClusterView& view) {
  std::unique_ptr<BiasView> next = MakeBiasView(view);
  std::lock_guard lock(mutex_);
  next_ = std::move(next);
  changed_ = true;
}

node::RoutingBiasCounts BiasedGate::TakeCounts() {
  std::lock_guard lock(mutex_);
  return std::exchange(counts_, {});
}

void BiasedGate::TakeView() {
  std::lock_guard lock(mutex_);
  changed_ = false;
  view_ = std::move(next_);
  if (view_ != nullptr && scores_.data == nullptr) SetRows(rows_max_);
}

void BiasedGate::SetRows(int64_t rows) {
  const int64_t experts = config_.gate.n_routed_experts, bytes = rows * experts * static_cast<int64_t>(sizeof(float));
  score_bytes_ = kernels::HugeBuffer(static_cast<size_t>(2 * bytes));
  scores_ = {score_bytes_.data(), DType::kF32, rows, experts, experts};
  biased_ = {score_bytes_.data() + bytes, DType::kF32, rows, experts, experts};
  unbiased_.reserve(static_cast<size_t>(rows * config_.gate.num_experts_per_tok));
  changed_rows_.reserve(static_cast<size_t>(rows));
}

kernels::KernelError BiasedGate::Choose(const kernels::Context& context, int32_t layer, kernels::GateTopKArgs args) {
  const int64_t rows = args.logits.rows;
  args.scores = scores_.Rows(0, rows);
  args.biased = biased_.Rows(0, rows);
  if (kernels::KernelError error = kernels::GateTopK(context, args); !error.ok()) return error;
  for (int64_t row = 0; row < rows; ++row) {   // nothing near in a row that has no scores
    if (args.non_finite[row] != 0) std::fill_n(args.biased.RowAs<float>(row), args.biased.cols, -std::numeric_limits<float>::infinity());
  }
  unbiased_.assign(args.experts.begin(), args.experts.end());
  node::RoutingBiasCounts counts;
  if (kernels::KernelError error = ApplyDelta(context, view_->delta[layer], args); !error.ok()) return error;
  if (NearTies* near_ties = view_->near_ties[layer].get()) ApplyNearTies(*near_ties, args, counts);
  CountChanges(args, counts);
  Count(counts);
  return {};
}

// Scores and order of selection stay those without the delta, by which near ties and changes are judged.
kernels::KernelError BiasedGate::ApplyDelta(const kernels::Context& context, std::span<const float> delta, const kernels::GateTopKArgs& args) {
  if (delta.empty()) return {};
  kernels::GateTopKArgs biased = args;
  biased.delta = delta;
  biased.scores = biased.biased = {};
  return kernels::GateTopK(context, biased);
}

void BiasedGate::ApplyNearTies(NearTies& near_ties, const kernels::GateTopKArgs& args, node::RoutingBiasCounts& counts) {
  const NearTieOutcome outcome = near_ties.Reroute(args.biased, args.experts, {view_->epsilon, args.biased.rows}, changed_rows_);
  const int64_t k = args.params.experts_per_token;
  for (const int32_t row : changed_rows_) {
    kernels::GateWeightsOf(args.params, args.scores.RowAs<float>(row), args.experts.data() + row * k, args.weights.data() + row * k);
  }
  counts.batches = 1;
  counts.busiest_before = outcome.busiest_before;
  counts.busiest_after = outcome.busiest_after;
}

void BiasedGate::CountChanges(const kernels::GateTopKArgs& args, node::RoutingBiasCounts& counts) const {
  const int64_t k = args.params.experts_per_token;
  for (int64_t row = 0; row < args.logits.rows; ++row) {
    if (args.non_finite[row] != 0) continue;
    const float* scores = args.scores.RowAs<float>(row);
    const auto before = std::span(unbiased_).subspan(row * k, k);
    for (const int32_t e : before) counts.score_mass += scores[e];
    for (const int32_t e : args.experts.subspan(row * k, k)) {
      counts.score_mass_kept += scores[e];
      if (std::find(before.begin(), before.end(), e) == before.end()) ++counts.changed;
    }
    counts.decisions += static_cast<uint64_t>(k);
  }
}

void BiasedGate::Count(const node::RoutingBiasCounts& counts) {
  AddCounts(counts, window_);
  bool passed = false;
  if (window_.decisions >= kWindowDecisions) {
    passed = static_cast<double>(window_.changed) > double{view_->changed_max} * static_cast<double>(window_.decisions);
    if (passed) {
      LogWarning("the routing bias changed ", window_.changed, " of ", window_.decisions, " decisions, more than a fraction of ",
                 view_->changed_max, ": it is off until the router says otherwise");
    }
    window_ = {};
  }
  std::lock_guard lock(mutex_);
  AddCounts(counts, counts_);
  counts_.switched_off = counts_.switched_off || passed;
  if (passed) view_ = nullptr;
}

}  // namespace atoll::attention_node
