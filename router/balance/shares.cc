#include "router/balance/shares.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "router/placement/cluster/cluster_table.h"
#include "router/placement/exact_split.h"
#include "router/placement/replica_bias.h"

namespace atoll::router {
namespace {

constexpr double kBiasMax = 0.5;  // what is assumed changes by a factor of e^0.5 at most

LayerPlacement LayerOf(const model::Placement& placement, int32_t layer) {
  std::vector<std::vector<int32_t>> hosts(placement.experts);
  for (int32_t e = 0; e < placement.experts; ++e)
    for (const model::Replica& replica : placement.ReplicasOf({layer, e})) hosts[e].push_back(replica.node);
  return PlacementOfHosts(hosts);
}

LayerNodes NodesOf(const std::vector<double>& speeds) {
  LayerNodes nodes{speeds, std::vector<int32_t>(speeds.size(), 0), std::vector<int32_t>(speeds.size())};
  std::iota(nodes.domain.begin(), nodes.domain.end(), 0);
  return nodes;
}

}  // namespace

void SplitExactly(const ClusterLoads& loads, const std::vector<double>& speeds, model::Placement& placement) {
  const LayerNodes nodes = NodesOf(speeds);
  for (int32_t layer = 0; layer < placement.layers; ++layer) {
    if (!placement.layer_has_experts[layer]) continue;
    const LayerPlacement hosts = LayerOf(placement, layer);
    const std::vector<double> expected = LoadsOfLayer(loads, layer, placement.experts);
    ExactSplit split(hosts, nodes);
    split.LeastLevel(expected);
    for (int32_t e = 0; e < placement.experts; ++e) {
      std::vector<model::Replica>& replicas = placement.ReplicasOf({layer, e});
      double sum = 0;
      for (int32_t r = hosts.first[e]; r < hosts.first[e + 1]; ++r) sum += std::max(0.0, split.rows()[r]);
      replicas.clear();
      for (int32_t r = hosts.first[e]; r < hosts.first[e + 1]; ++r) {
        const double share = expected[e] > 0 && sum > 0 ? std::max(0.0, split.rows()[r]) / sum : 1.0 / hosts.copies(e);
        replicas.push_back({hosts.host[r], share});
      }
    }
  }
}

std::vector<std::vector<float>> ExpectedShares(const model::Placement& placement, const std::vector<std::vector<double>>& expected) {
  std::vector<std::vector<float>> shares(placement.layers);
  for (int32_t layer = 0; layer < placement.layers; ++layer) {
    if (!placement.layer_has_experts[layer] || static_cast<size_t>(layer) >= expected.size()) continue;
    const double total = std::accumulate(expected[layer].begin(), expected[layer].end(), 0.0);
    if (!(total > 0)) continue;
    std::vector<double> sums(placement.node_ids.size(), 0);
    for (int32_t e = 0; e < placement.experts; ++e)
      for (const model::Replica& replica : placement.ReplicasOf({layer, e})) sums[replica.node] += replica.share * expected[layer][e] / total;
    shares[layer].assign(sums.begin(), sums.end());
  }
  return shares;
}

void StepRoutingBias(const model::Placement& placement, const std::vector<std::vector<double>>& expected,
                     const std::function<double(const std::string& node_id)>& speed_of, RoutingBias& bias) {
  if (bias.epsilon() <= 0) return;
  const std::vector<std::vector<float>> shares = ExpectedShares(placement, expected);
  for (int32_t layer = 0; layer < placement.layers; ++layer) {
    if (shares[layer].empty()) continue;
    std::vector<double> levels;
    for (size_t n = 0; n < placement.node_ids.size(); ++n) levels.push_back(shares[layer][n] / speed_of(placement.node_ids[n]));
    bias.Step(layer, levels, std::span(placement.replicas).subspan(layer * placement.experts, placement.experts));
  }
}

double BalanceOf(const model::Placement& placement, const ClusterLoads& loads, const std::vector<double>& speeds) {
  const LayerNodes nodes = NodesOf(speeds);
  double sum = 0;
  int64_t layers = 0;
  for (int32_t layer = 0; layer < placement.layers; ++layer) {
    if (!placement.layer_has_experts[layer]) continue;
    const std::vector<double> expected = LoadsOfLayer(loads, layer, placement.experts);
    ExactSplit split(LayerOf(placement, layer), nodes);
    sum += 1 / (1 + Imbalance(split.LeastLevel(expected), expected, nodes.speed_total()));
    ++layers;
  }
  return layers == 0 ? 1 : sum / static_cast<double>(layers);
}

void ShareBias::Step(const std::map<std::string, double>& levels) {
  if (levels.empty() || gamma_ == 0) return;
  std::vector<double> level, bias;
  for (const auto& [node, value] : levels) {
    level.push_back(value);
    const auto known = bias_.find(node);
    bias.push_back(known == bias_.end() ? 0 : known->second);
  }
  const double mean = std::accumulate(level.begin(), level.end(), 0.0) / static_cast<double>(level.size());
  StepReplicaBias(level, mean, gamma_, kBiasMax, bias);
  bias_.clear();
  size_t i = 0;
  for (const auto& [node, value] : levels) bias_[node] = bias[i++];
}

void ShareBias::Mend(const std::vector<std::string>& node_ids, int32_t others, std::vector<std::vector<float>>& expected_share) const {
  for (size_t n = 0; n < node_ids.size(); ++n) {
    const auto known = bias_.find(node_ids[n]);
    if (known == bias_.end() || known->second == 0) continue;
    const auto factor = static_cast<float>(AssumedRowsFactor(known->second, others));
    for (std::vector<float>& layer : expected_share)
      if (n < layer.size()) layer[n] *= factor;
  }
}

}  // namespace atoll::router
