// Readiness, placement, balancer and routing bias in /metrics.

#include <algorithm>

#include "router/metrics/metrics_text.h"

namespace atoll::router {
namespace {

using metrics::Exposition;
using metrics::Type;

struct ReplicaFigures {
  int64_t experts = 0;
  int64_t replicas = 0;      // on nodes that are alive
  int64_t replicas_min = 0;  // of the expert that has fewest
};

ReplicaFigures FiguresOf(const ClusterView& view) {
  ReplicaFigures figures;
  const model::Placement& placement = *view.placement;
  const auto is_alive = [&](const model::Replica& replica) { return view.expert_nodes[replica.node].alive; };
  for (int64_t i = 0; i < placement.layers * placement.experts; ++i) {
    if (!placement.layer_has_experts[i / placement.experts]) continue;
    const int64_t alive = std::count_if(placement.replicas[i].begin(), placement.replicas[i].end(), is_alive);
    figures.replicas_min = figures.experts == 0 ? alive : std::min(figures.replicas_min, alive);
    figures.replicas += alive;
    ++figures.experts;
  }
  return figures;
}

void AppendReplicas(const ClusterReport& cluster, Exposition& out) {
  const ReplicaFigures figures = cluster.view == nullptr ? ReplicaFigures{} : FiguresOf(*cluster.view);
  out.One(Type::kGauge, "atoll_experts", "Routed experts of the model; 0 until all are loaded for the first time.", figures.experts);
  out.One(Type::kGauge, "atoll_expert_replicas", "Replicas of them on nodes that are alive.", figures.replicas);
  out.One(Type::kGauge, "atoll_expert_replicas_min", "Replicas of the expert that has fewest.", figures.replicas_min);
  out.One(Type::kGauge, "atoll_experts_without_host", "Experts that no node can serve now.", cluster.balancer.lost_experts);
}

void AppendBalancer(const BalancerReport& balancer, Exposition& out) {
  out.One(Type::kGauge, "atoll_placement_epoch", "Epoch of the placement that is striven for.", balancer.placement_epoch);
  out.One(Type::kGauge, "atoll_balancer_frozen", "1: experts move for coverage alone, at an operator's word.", int{balancer.frozen});
  out.One(Type::kGauge, "atoll_balancer_stuck", "1: what the balancer does makes no progress.", int{balancer.stuck});
  out.One(Type::kGauge, "atoll_balancer_age_seconds", "Time since what the balancer does made progress; 0 while it does nothing.",
          1e-3 * static_cast<double>(balancer.age_ms));
  out.One(Type::kGauge, "atoll_migration_steps_left", "Loads and frees of the migration that goes on which later rounds will do.", balancer.steps_left);
  out.One(Type::kCounter, "atoll_migration_rounds_total", "Rounds of migrations that were begun.", balancer.rounds);
  out.One(Type::kCounter, "atoll_migrated_replicas_total", "Replicas that migrations have ordered to be loaded.", balancer.replicas_loaded);
  out.One(Type::kCounter, "atoll_migrated_bytes_total", "Their weights.", balancer.bytes_loaded);
}

void AppendEvenness(const std::vector<LayerEvenness>& layers, Exposition& out) {
  out.Begin(Type::kGauge, "atoll_balancedness",
            "Mean / busiest expert node's rows of the last minute, averaged over the layers with traffic enough to judge; absent without any.");
  if (const std::optional<double> mean = MeanBalancedness(layers)) out.Sample({}, *mean);
  out.Begin(Type::kGauge, "atoll_layer_balancedness", "The same of each layer.");
  for (const LayerEvenness& layer : layers) out.Sample({{"layer", std::to_string(layer.layer)}}, layer.balancedness);
  out.Begin(Type::kGauge, "atoll_layer_hottest_experts_ratio", "Share of the layer's rows of the last minute that its eight most loaded experts got.");
  for (const LayerEvenness& layer : layers) out.Sample({{"layer", std::to_string(layer.layer)}}, layer.hottest_ratio);
}

void AppendRoutingBias(const RoutingBiasReport& bias, Exposition& out) {
  out.One(Type::kGauge, "atoll_routing_bias_epsilon", "Bound of the routing bias that is served with; 0: off.", static_cast<double>(bias.epsilon));
  out.One(Type::kCounter, "atoll_routing_bias_decisions_total", "Choices of an expert for a row while the bias was on.", bias.totals.decisions);
  out.One(Type::kCounter, "atoll_routing_bias_changed_total", "Of them, those that the unbiased scores would have made otherwise.", bias.totals.changed);
  out.One(Type::kCounter, "atoll_routing_bias_score_mass_total", "Sum of the unbiased scores of the experts that these would have chosen.",
          bias.totals.score_mass);
  out.One(Type::kCounter, "atoll_routing_bias_score_mass_kept_total", "Sum of the unbiased scores of the experts that were chosen.",
          bias.totals.score_mass_kept);
}

}  // namespace

void AppendPlacementMetrics(const MetricsInput& input, Exposition& out) {
  const ClusterReport& cluster = input.cluster;
  out.One(Type::kGauge, "atoll_ready", "1: a token can be made now.", int{cluster.ready});
  out.One(Type::kGauge, "atoll_exact", "1: promise P1 holds, answers do not depend on the cluster.", int{cluster.not_exact_reason.empty()});
  out.One(Type::kGauge, "atoll_epoch", "The newest epoch.", cluster.epoch);
  AppendReplicas(cluster, out);
  AppendBalancer(cluster.balancer, out);
  AppendEvenness(input.evenness, out);
  AppendRoutingBias(cluster.routing_bias.value_or(RoutingBiasReport{}), out);
}

}  // namespace atoll::router
