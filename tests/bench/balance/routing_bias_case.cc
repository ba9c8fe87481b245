// The routing bias on made gates, 72x4 with the exact split: what the same-batch re-route of near ties gains for the
// decisions that it changes, and what the slow deltas add. Lossy, off by default.

#include <algorithm>
#include <cmath>
#include <string>

#include "attention_node/routing_bias/near_ties.h"
#include "router/balance/routing_bias/routing_bias.h"
#include "router/placement/exact_split.h"
#include "router/placement/quick_plan.h"
#include "tests/bench/balance/made_gate.h"
#include "tests/bench/balance/profiles.h"

namespace atoll::bench {
namespace {

using router::LayerNodes;
using router::LayerPlacement;

constexpr int kTokens = 4096, kNodes = 72, kSlots = 4, kPlanBatches = 12, kDeltaBatches = 40;
constexpr int64_t kDecisions = int64_t{kTokens} * MadeGate::kChosen;

struct Sums {
  double before = 0, after = 0, changed = 0, mass = 0, kept = 0, batches = 0, us = 0;
  double Changed() const { return 100 * changed / (batches * kDecisions); }
  double Lower() const { return 100 * (1 - after / before); }
};

LayerPlacement PlanFor(MadeGate& gate, const LayerNodes& nodes, router::SeededRandom& random) {
  std::vector<double> loads(MadeGate::kExperts, 0);
  for (int i = 0; i < kPlanBatches; ++i) {
    gate.Draw(random);
    const std::vector<double> counts = gate.Counts();
    for (size_t e = 0; e < loads.size(); ++e) loads[e] += counts[e];
  }
  return *router::PlanQuick(loads, nodes, {});
}

double ImbalanceOf(router::ExactSplit& split, const MadeGate& gate) {
  const std::vector<double> counts = gate.Counts();
  return 100 * router::Imbalance(split.LeastLevel(counts), counts, kNodes);
}

int64_t ChangedDecisions(std::span<const int32_t> before, std::span<const int32_t> after) {
  int64_t changed = 0;
  for (size_t row = 0; row < before.size(); row += MadeGate::kChosen) {
    const auto old = before.subspan(row, MadeGate::kChosen);
    for (const int32_t e : after.subspan(row, MadeGate::kChosen)) changed += std::find(old.begin(), old.end(), e) == old.end() ? 1 : 0;
  }
  return changed;
}

double Mass(const MadeGate& gate, std::span<const int32_t> experts) {
  double mass = 0;
  for (size_t i = 0; i < experts.size(); ++i) mass += gate.scores().RowAs<float>(static_cast<int64_t>(i) / MadeGate::kChosen)[experts[i]];
  return mass;
}

// One batch through the gate, the deltas (if any) and the re-route, as attention_node/routing_bias does it.
void AddBatch(MadeGate& gate, attention_node::NearTies& near_ties, router::ExactSplit& split, float epsilon, std::span<const float> delta, Sums& sums) {
  const std::vector<int32_t> unbiased = gate.experts();
  std::vector<int32_t> rows;
  sums.before += ImbalanceOf(split, gate);
  if (!delta.empty()) gate.Choose(delta);
  Stopwatch watch;
  near_ties.Reroute(gate.biased(), gate.experts(), {epsilon, kTokens}, rows);
  sums.us += watch.us();
  sums.after += ImbalanceOf(split, gate);
  sums.changed += static_cast<double>(ChangedDecisions(unbiased, gate.experts()));
  sums.mass += Mass(gate, unbiased);
  sums.kept += Mass(gate, gate.experts());
  sums.batches += 1;
}

// Levels of nodes under the exact split of one batch.
std::vector<double> LevelsOf(router::ExactSplit& split, const LayerPlacement& placement, const MadeGate& gate) {
  split.LeastLevel(gate.Counts());
  std::vector<double> levels(kNodes, 0);
  for (size_t r = 0; r < placement.host.size(); ++r) levels[placement.host[r]] += split.rows()[r];
  return levels;
}

std::vector<std::vector<model::Replica>> ReplicasOf(const LayerPlacement& placement) {
  std::vector<std::vector<model::Replica>> replicas(placement.experts());
  for (int32_t e = 0; e < placement.experts(); ++e)
    for (const int32_t host : placement.HostsOf(e)) replicas[e].push_back({host, 1.0 / placement.copies(e)});
  return replicas;
}

// Deltas as the router steps them: from levels smoothed over batches, of the batch before at best.
void RunDeltas(MadeGate& gate, const LayerPlacement& placement, const Scale& scale, float epsilon, router::SeededRandom& random, Sums& alone,
               Sums& both) {
  const LayerNodes nodes = LayerNodes::Even(kNodes, kSlots);
  router::ExactSplit split(placement, nodes);
  attention_node::NearTies near_ties(attention_node::MakeReplicaMap(placement.first, placement.host, nodes.speed), 0);
  const auto replicas = ReplicasOf(placement);
  router::RoutingBias bias({.epsilon = epsilon}, 1, MadeGate::kExperts);
  std::vector<double> smooth(kNodes, 1.0 * kDecisions / kNodes);
  for (int i = 0; i < kDeltaBatches + scale.batches; ++i) {
    gate.Draw(random);
    const std::vector<int32_t> unbiased = gate.experts();
    if (i >= kDeltaBatches) {
      AddBatch(gate, near_ties, split, 0, bias.DeltaOf(0), alone);
      gate.experts() = unbiased;
      AddBatch(gate, near_ties, split, epsilon, bias.DeltaOf(0), both);
      gate.experts() = unbiased;
    }
    if (!bias.DeltaOf(0).empty()) gate.Choose(bias.DeltaOf(0));
    const std::vector<double> levels = LevelsOf(split, placement, gate);
    for (int n = 0; n < kNodes; ++n) smooth[n] += 0.1 * (levels[n] - smooth[n]);
    bias.Step(0, smooth, replicas);
  }
}

Sums RunGate(const GateShape& shape, const Scale& scale, float epsilon, std::vector<Sums>* deltas) {
  const LayerNodes nodes = LayerNodes::Even(kNodes, kSlots);
  router::SeededRandom random(12);
  Sums sums;
  for (int layer = 0; layer < 58; layer += scale.layer_step) {
    MadeGate gate(shape, kTokens, 100 + static_cast<uint64_t>(layer));
    const LayerPlacement placement = PlanFor(gate, nodes, random);
    router::ExactSplit split(placement, nodes);
    attention_node::NearTies near_ties(attention_node::MakeReplicaMap(placement.first, placement.host, nodes.speed), 0);
    for (int i = 0; i < scale.batches; ++i) {
      gate.Draw(random);
      AddBatch(gate, near_ties, split, epsilon, {}, sums);
    }
    if (deltas != nullptr && layer % (3 * scale.layer_step) == 0) RunDeltas(gate, placement, scale, epsilon, random, (*deltas)[0], (*deltas)[1]);
  }
  return sums;
}

void Report(const std::string& name, const Sums& sums, Results& results) {
  char text[200];
  std::snprintf(text, sizeof text, "  %s: imbalance %.2f -> %.2f %%, %.2f %% changed (%.0f %% lower per 1 %%), score mass kept %.5f, %.0f us a layer", name.c_str(),
                sums.before / sums.batches, sums.after / sums.batches, sums.Changed(), sums.changed > 0 ? sums.Lower() / sums.Changed() : 0,
                sums.kept / sums.mass, sums.us / sums.batches);
  results.Note(text);
}

}  // namespace

void RunRoutingBiasCase(const Scale& scale, Results& results) {
  const GateShape written{"the gate of the bar", 0.4, 0.8, 1.2, -2.5, 0};
  std::vector<Sums> deltas(2);
  const Sums off = RunGate(written, {scale.layer_step * 6, scale.batches}, 0, nullptr), on = RunGate(written, scale, 0.02F, &deltas);
  results.AtMost("72x4 routing bias off, decisions changed", NAN, off.changed + (off.kept == off.mass ? 0 : 1), 0, "");
  results.AtLeast("72x4 routing bias 0.02, % lower per 1 % changed", NAN, on.Lower() / on.Changed(), 25, "%");
  Report("eps 0.02, " + written.name, on, results);
  Report("the same, deltas of the router alone", deltas[0], results);
  Report("the same, deltas and near ties", deltas[1], results);
  const Scale less{scale.layer_step * 3, scale.batches};
  for (const float epsilon : {0.005F, 0.01F, 0.05F}) Report("eps " + std::to_string(epsilon).substr(0, 5) + ", " + written.name, RunGate(written, less, epsilon, nullptr), results);
  for (const GateShape& shape : {GateShape{"less noise (0.4, 0.8, 0.6)", 0.4, 0.8, 0.6, -2.5, 0}, GateShape{"flat (0.2, 0.4, 0.6)", 0.2, 0.4, 0.6, -2.5, 0},
                                 GateShape{"sharp (0.4, 1.6, 2.4)", 0.4, 1.6, 2.4, -2.5, 0}, GateShape{"with a trained bias of spread 0.1", 0.4, 0.8, 1.2, -2.5, 0.1}}) {
    Report("eps 0.02, " + shape.name, RunGate(shape, less, 0.02F, nullptr), results);
  }
}

}  // namespace atoll::bench
