#include "router/placement/cluster/cluster_table.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "router/placement/exact_split.h"

namespace atoll::router {
namespace {

using model::ExpertId;

std::vector<int32_t> DomainsOf(const std::vector<ClusterNode>& nodes) {
  const bool zones = std::any_of(nodes.begin(), nodes.end(), [&](const ClusterNode& n) { return n.zone != nodes[0].zone; });
  std::map<std::string, int32_t> numbers;
  std::vector<int32_t> domains;
  for (const ClusterNode& node : nodes) {
    const std::string& place = zones ? node.zone : node.host.empty() ? node.node_id : node.host;
    domains.push_back(numbers.try_emplace(place, static_cast<int32_t>(numbers.size())).first->second);
  }
  return domains;
}

absl::Status CheckInput(const model::Placement& present, const std::vector<ClusterNode>& nodes, const ClusterLoads& loads,
                        const ClusterPlanOptions& options) {
  if (options.expert_bytes <= 0 || options.min_replicas < 1)
    return absl::InvalidArgumentError("placement: expected an expert of at least 1 byte and min_replicas of at least 1");
  if (static_cast<int64_t>(loads.expected.size()) != present.layers)
    return absl::InvalidArgumentError(absl::StrCat("placement: expected loads of ", present.layers, " layers, found ", loads.expected.size()));
  for (const std::vector<double>& layer : loads.expected) {
    const bool sane = std::all_of(layer.begin(), layer.end(), [](double load) { return std::isfinite(load) && load >= 0; });
    if (!sane || (!layer.empty() && static_cast<int64_t>(layer.size()) != present.experts))
      return absl::InvalidArgumentError(absl::StrCat("placement: expected ", present.experts, " loads of 0 or more in a layer, found ", layer.size()));
  }
  for (const auto& batches : loads.batches)
    for (const std::vector<double>& batch : batches)
      if (static_cast<int64_t>(batch.size()) != present.experts)
        return absl::InvalidArgumentError(absl::StrCat("placement: expected ", present.experts, " counts in a batch, found ", batch.size()));
  for (const ClusterNode& node : nodes)
    if (!std::isfinite(node.speed) || node.speed <= 0)
      return absl::InvalidArgumentError(absl::StrCat("placement: expected a speed above 0 of node ", node.node_id, ", found ", node.speed));
  return absl::OkStatus();
}

void SetShares(const LayerPlacement& layer, std::span<const double> loads, std::span<const double> rows, int32_t absolute, model::Placement& table) {
  for (int32_t e = 0; e < layer.experts(); ++e) {
    std::vector<model::Replica>& replicas = table.ReplicasOf({absolute, e});
    double sum = 0;
    for (int32_t r = layer.first[e]; r < layer.first[e + 1]; ++r) sum += std::max(0.0, rows[r]);
    for (int32_t r = layer.first[e]; r < layer.first[e + 1]; ++r) {
      const double share = loads[e] > 0 && sum > 0 ? std::max(0.0, rows[r]) / sum : 1.0 / layer.copies(e);
      replicas.push_back({layer.host[r], share});
    }
  }
}

// The most experts of one layer's that lie in one failure domain only.
void CountAlone(const LayerPlacement& layer, const std::vector<int32_t>& domain, std::vector<int64_t>& alone) {
  for (int32_t e = 0; e < layer.experts(); ++e) {
    const auto hosts = layer.HostsOf(e);
    const int32_t first = domain[hosts[0]];
    if (std::all_of(hosts.begin(), hosts.end(), [&](int32_t n) { return domain[n] == first; })) ++alone[first];
  }
}

}  // namespace

LayerNodes ClusterTable::Layer(std::vector<int32_t> layer_slots) const {
  LayerNodes layer{{}, std::move(layer_slots), domain};
  for (const ClusterNode& node : nodes) layer.speed.push_back(node.speed);
  return layer;
}

std::vector<double> LoadsOfLayer(const ClusterLoads& loads, int64_t layer, int64_t experts) {
  const std::vector<double>& expected = loads.expected[layer];
  if (std::accumulate(expected.begin(), expected.end(), 0.0) > 0) return expected;
  return std::vector<double>(experts, 1.0);
}

absl::StatusOr<ClusterTable> MakeClusterTable(const model::Placement& present, const std::vector<ClusterNode>& nodes, const ClusterLoads& loads,
                                              const ClusterPlanOptions& options) {
  ATOLL_RETURN_IF_ERROR(CheckInput(present, nodes, loads, options));
  ClusterTable table;
  table.moe_layers = std::count(present.layer_has_experts.begin(), present.layer_has_experts.end(), true);
  const int64_t all = table.moe_layers * present.experts;
  int64_t slots = 0;
  for (const ClusterNode& node : nodes) {
    if (node.draining) continue;
    table.nodes.push_back(node);
    table.slots.push_back(std::min(all, static_cast<int64_t>(node.memory_bytes / static_cast<uint64_t>(options.expert_bytes))));
    slots += table.slots.back();
    const auto known = std::find(present.node_ids.begin(), present.node_ids.end(), node.node_id);
    table.held.push_back(known == present.node_ids.end() ? std::vector<ExpertId>{}
                                                         : ExpertsOfNode(present, static_cast<int32_t>(known - present.node_ids.begin())));
  }
  if (slots < all)
    return absl::ResourceExhaustedError(absl::StrCat("placement: ", all, " experts of ", options.expert_bytes, " bytes do not fit in the ", slots,
                                                     " slots of ", table.nodes.size(), " expert nodes; add expert nodes or memory"));
  if (!table.nodes.empty()) table.domain = DomainsOf(table.nodes);
  return table;
}

absl::StatusOr<ClusterPlan> FinishPlan(const model::Placement& present, const ClusterTable& table, const std::vector<LayerPlacement>& layers,
                                       const ClusterLoads& loads, const ClusterPlanOptions& options) {
  ClusterPlan plan;
  plan.placement = present;
  plan.placement.epoch = present.epoch + 1;
  plan.placement.node_ids.clear();
  for (const ClusterNode& node : table.nodes) plan.placement.node_ids.push_back(node.node_id);
  for (std::vector<model::Replica>& replicas : plan.placement.replicas) replicas.clear();
  std::vector<int64_t> alone(table.nodes.size(), 0);
  double sum = 0;
  for (int32_t layer = 0; layer < present.layers; ++layer) {
    if (!present.layer_has_experts[layer]) continue;
    const LayerNodes nodes = table.Layer(std::vector<int32_t>(table.nodes.size(), 0));
    const std::vector<double> expected = LoadsOfLayer(loads, layer, present.experts);
    ExactSplit split(layers[layer], nodes);
    const double balance = 1 / (1 + Imbalance(split.LeastLevel(expected), expected, nodes.speed_total()));
    sum += balance;
    plan.balance_worst = std::min(plan.balance_worst, balance);
    SetShares(layers[layer], expected, split.rows(), layer, plan.placement);
    CountAlone(layers[layer], table.domain, alone);
  }
  if (table.moe_layers > 0) plan.balance_mean = sum / static_cast<double>(table.moe_layers);
  if (!alone.empty()) plan.uncovered_by_one_loss = *std::max_element(alone.begin(), alone.end());
  ATOLL_ASSIGN_OR_RETURN(plan.steps, OrderMigrations(table.held, plan.placement, table.slots));
  for (const MigrationStep& step : plan.steps) plan.bytes += step.load ? options.expert_bytes : 0;
  std::vector<bool> live(plan.placement.replicas.size(), false);
  for (const std::vector<ExpertId>& held : table.held)
    for (const ExpertId& id : held) live[id.layer * present.experts + id.expert] = true;
  for (int32_t layer = 0; layer < present.layers; ++layer)
    for (int32_t e = 0; e < present.experts && present.layer_has_experts[layer]; ++e)
      if (!live[layer * present.experts + e]) plan.lost.push_back({layer, e});
  return plan;
}

}  // namespace atoll::router
