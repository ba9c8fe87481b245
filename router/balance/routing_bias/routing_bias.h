#pragma once

// The routing bias (lossy, opt-in): a bounded delta on the scores by which experts are selected, so that of experts that
// score about the same the one on the emptier node is taken. DeepSeek's sign rule, driven by the load of nodes after the
// split over replicas, never by that of experts: what replicas even out already must not cost a decision. The slow outer
// loop for imbalance that lasts; attention_node/routing_bias has the same-batch one. A hard cap on the share of decisions
// that may change switches it off.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/placement.h"

namespace atoll::router {

struct RoutingBiasOptions {
  float epsilon = 0;               // largest |delta|, and gap of a near tie; 0: off, nothing changes
  double step = 1.0 / 15;          // of epsilon, per Step
  double dead_band = 0.02;         // of the mean level: a node this near to it counts as even
  double changed_max = 0.05;       // share of decisions that may change; above it the bias is switched off
  uint64_t decisions_min = 20000;  // before the cap is judged
};

// What gates did; sums. A decision is one expert chosen for one row.
struct RoutingBiasTotals {
  uint64_t decisions = 0;
  uint64_t changed = 0;          // would have been another expert without the bias
  double score_mass = 0;         // scores of the experts without the bias
  double score_mass_kept = 0;    // scores of the experts taken
  uint64_t batches = 0;          // of one layer, with a split over nodes
  double busiest_before = 0;     // sum over batches of busiest node / mean, without the re-route
  double busiest_after = 0;
  bool switched_off = false;     // by an attention node that passed the cap by itself

  // False where they are no counts of anything: a wire may bring what it likes.
  bool Plausible() const;
  void Add(const RoutingBiasTotals& more);
  double ChangedFraction() const { return decisions == 0 ? 0 : static_cast<double>(changed) / static_cast<double>(decisions); }
};

// Plain state, one thread at a time.
class RoutingBias {
 public:
  RoutingBias(const RoutingBiasOptions& options, int64_t layers, int64_t experts);

  // What to serve with: 0 once the cap was passed.
  float epsilon() const { return off_reason_.empty() ? options_.epsilon : 0; }
  // Empty, or one sentence: why it was switched off.
  const std::string& off_reason() const { return off_reason_; }
  const RoutingBiasTotals& totals() const { return totals_; }
  const RoutingBiasOptions& options() const { return options_; }

  // One step of the layer's deltas. levels: [nodes] smoothed rows / speed after the split, 0 or more; replicas: [experts].
  // Experts on nodes above the mean go down, below it up, within the dead band back towards 0.
  void Step(int32_t layer, std::span<const double> levels, std::span<const std::vector<model::Replica>> replicas);
  // [experts], or empty where the layer has none (all are 0, or the bias is off).
  std::span<const float> DeltaOf(int32_t layer) const;

  // Adds what a heartbeat brought and judges the cap over the last `decisions_min` or more. True when this switched it off.
  bool Count(const RoutingBiasTotals& since_last);

 private:
  const RoutingBiasOptions options_;
  const int64_t experts_;
  std::vector<std::vector<float>> deltas_;  // [layers] of [experts], empty until a step
  RoutingBiasTotals totals_, window_;
  std::string off_reason_;
};

}  // namespace atoll::router
