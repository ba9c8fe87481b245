// The replica bias (lossless) on a load that stays as it is: what its ripple costs, against off. Sixteen dispatchers split
// their own rows; what they expect the others to send follows from the smoothed loads and the biased shares.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "attention_node/replica_choice/row_split.h"
#include "router/placement/batch_noise.h"
#include "router/placement/exact_split.h"
#include "router/placement/quick_plan.h"
#include "router/placement/replica_bias.h"
#include "tests/bench/balance/profiles.h"

namespace atoll::bench {
namespace {

using router::LayerNodes;
using router::LayerPlacement;

constexpr int kDispatchers = 16, kNodes = 32, kWarmSteps = 30;
constexpr int64_t kRows = 4096 * 8;
constexpr double kGamma = 0.01, kLimit = 0.5, kSmoothing = 0.1;

// One layer's outer loop: a bias per node from smoothed levels.
struct Loop {
  const LayerPlacement& placement;
  const std::vector<double>& planned;  // [replicas] shares
  double gamma;
  std::vector<double> bias = std::vector<double>(kNodes, 0), smooth = std::vector<double>(kNodes, 1.0 / kNodes);

  void Step(const std::vector<double>& node_rows) {
    for (int n = 0; n < kNodes; ++n) smooth[n] += kSmoothing * (node_rows[n] / kRows - smooth[n]);
    router::StepReplicaBias(smooth, 1.0 / kNodes, gamma, kLimit, bias);
  }
  // Rows of `counts` by the biased shares.
  std::vector<double> ByShares(const std::vector<double>& counts) const {
    std::vector<double> rows(kNodes, 0);
    for (int32_t e = 0; e < placement.experts(); ++e) {
      const int32_t first = placement.first[e], copies = placement.copies(e);
      std::vector<double> shares(planned.begin() + first, planned.begin() + first + copies), of_host;
      for (const int32_t host : placement.HostsOf(e)) of_host.push_back(bias[host]);
      router::ApplyReplicaBias(of_host, shares);
      for (int32_t i = 0; i < copies; ++i) rows[placement.host[first + i]] += counts[e] * shares[i];
    }
    return rows;
  }
  // What others are expected to send, [nodes], corrected by what came of it.
  std::vector<float> Expected(const std::vector<double>& by_plan) const {
    std::vector<float> rows;
    for (int n = 0; n < kNodes; ++n) rows.push_back(static_cast<float>(by_plan[n] * router::AssumedRowsFactor(bias[n], kDispatchers - 1)));
    return rows;
  }
};

double ImbalanceOf(const std::vector<double>& rows) { return 100 * (*std::max_element(rows.begin(), rows.end()) * kNodes / kRows - 1); }

struct Sums {
  double split = 0, shares = 0, steps = 0;
};

void RunLayer(const std::vector<double>& loads, const LayerPlacement& placement, double gamma, int steps, Sums& sums) {
  const LayerNodes nodes = LayerNodes::Even(kNodes, 10);
  const auto map = attention_node::MakeReplicaMap(placement.first, placement.host, nodes.speed);
  router::ExactSplit optimum(placement, nodes);
  optimum.LeastLevel(loads);
  std::vector<double> planned(map.replicas()), by_plan(kNodes, 0);
  const double total = std::accumulate(loads.begin(), loads.end(), 0.0);
  for (int32_t e = 0; e < placement.experts(); ++e) {
    for (int32_t r = placement.first[e]; r < placement.first[e + 1]; ++r) {
      planned[r] = loads[e] > 0 ? optimum.rows()[r] / loads[e] : 1.0 / placement.copies(e);
      by_plan[placement.host[r]] += loads[e] * planned[r] * kRows * (1 - 1.0 / kDispatchers) / total;
    }
  }
  Loop by_split{placement, planned, gamma}, by_shares{placement, planned, gamma};
  std::vector<attention_node::RowSplit> splits;
  splits.reserve(kDispatchers);
  for (uint32_t d = 0; d < kDispatchers; ++d) splits.emplace_back(map, d);
  router::SeededRandom random(21);
  std::vector<int32_t> rows(map.replicas());
  for (int step = 0; step < kWarmSteps + steps; ++step) {
    std::vector<double> weights = loads, batch(loads.size(), 0), node_rows(kNodes, 0);
    for (double& weight : weights) weight *= std::exp(0.15 * random.Gaussian());
    const std::vector<float> expected = by_split.Expected(by_plan);
    for (attention_node::RowSplit& split : splits) {
      const std::vector<double> counts = router::DrawCounts(weights, kRows / kDispatchers, random);
      split.Split(std::vector<int32_t>(counts.begin(), counts.end()), expected, rows);
      for (int32_t r = 0; r < map.replicas(); ++r) node_rows[map.node[r]] += rows[r];
      for (size_t e = 0; e < batch.size(); ++e) batch[e] += counts[e];
    }
    const std::vector<double> share_rows = by_shares.ByShares(batch);
    if (step >= kWarmSteps) sums.split += ImbalanceOf(node_rows), sums.shares += ImbalanceOf(share_rows), sums.steps += 1;
    by_split.Step(node_rows);
    by_shares.Step(share_rows);
  }
}

}  // namespace

void RunReplicaBiasCase(const std::vector<Profile>& profiles, const Scale& scale, Results& results) {
  const LayerNodes nodes = LayerNodes::Even(kNodes, 10);
  Sums off, on;
  for (const Profile& profile : profiles) {
    for (size_t l = 4; l < profile.layers.size(); l += 2 * scale.layer_step) {
      const LayerPlacement placement = *router::PlanQuick(profile.layers[l], nodes, {});
      RunLayer(profile.layers[l], placement, 0, 10 * scale.batches, off);
      RunLayer(profile.layers[l], placement, kGamma, 10 * scale.batches, on);
    }
  }
  results.AtMost("32x10 replica bias, stationary, points above off", NAN, (on.split - off.split) / off.steps, 0.3, "");
  results.AtMost("32x10 replica bias, shares alone, points above off", NAN, (on.shares - off.shares) / off.steps, 0.3, "");
  char text[160];
  std::snprintf(text, sizeof text, "  gamma %.2f per step: 16 dispatchers %.2f %%, off %.2f %%; by shares without a split %.2f %%, off %.2f %%", kGamma, on.split / on.steps,
                off.split / off.steps, on.shares / on.steps, off.shares / off.steps);
  results.Note(text);
}

}  // namespace atoll::bench
