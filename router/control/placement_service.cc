#include "router/control/placement_service.h"

#include "absl/strings/str_cat.h"

namespace atoll::router {
namespace {

void FillReplicas(const std::vector<model::Replica>& replicas, v1::ExpertReplicas& to) {
  for (const model::Replica& replica : replicas) {
    to.add_node(replica.node);
    if (replicas.size() > 1) to.add_share(static_cast<float>(replica.share));
  }
}

void FillPlan(const BalancerReport::LastPlan& plan, v1::PlanSummary& to) {
  to.set_kind(plan.kind);
  to.set_failure(plan.failure);
  to.set_balance_mean(plan.balance_mean);
  to.set_balance_worst(plan.balance_worst);
  to.set_loads(plan.loads);
  to.set_frees(plan.frees);
  to.set_bytes(plan.bytes);
  to.set_uncovered_by_one_loss(plan.uncovered_by_one_loss);
}

}  // namespace

void FillView(const ClusterView& view, v1::ClusterView& to) {
  to.set_epoch(view.epoch);
  for (const ExpertPeer& peer : view.expert_nodes) {
    v1::ExpertNode& node = *to.add_expert_nodes();
    node.set_node_id(peer.node_id);
    node.set_incarnation(peer.incarnation);
    node.set_control_address(peer.control_address);
    node.set_speed(peer.speed);
    node.set_alive(peer.alive);
  }
  to.set_attention_nodes(view.attention_nodes);
  to.set_routing_bias_epsilon(view.routing_bias_epsilon);
  to.set_routing_bias_changed_max(view.routing_bias_changed_max);
  const auto fill = [](const std::vector<std::vector<float>>& layers, int32_t layer, google::protobuf::RepeatedField<float>& out) {
    if (static_cast<size_t>(layer) < layers.size()) out.Assign(layers[layer].begin(), layers[layer].end());
  };
  const model::Placement& placement = *view.placement;
  for (int32_t layer = 0; layer < placement.layers; ++layer) {
    if (!placement.layer_has_experts[layer]) continue;
    v1::LayerPlacement& layer_placement = *to.add_layers();
    layer_placement.set_layer(layer);
    fill(view.expected_share, layer, *layer_placement.mutable_expected_share());
    fill(view.routing_bias, layer, *layer_placement.mutable_routing_bias());
    for (int32_t e = 0; e < placement.experts; ++e) FillReplicas(placement.ReplicasOf({layer, e}), *layer_placement.add_experts());
  }
}

void FillBalancer(const BalancerReport& report, v1::BalancerStatus& to) {
  to.set_enabled(report.enabled);
  to.set_frozen(report.frozen);
  to.set_placement_epoch(report.placement_epoch);
  to.set_activity(report.activity);
  to.set_age_ms(report.age_ms);
  to.set_stuck(report.stuck);
  to.set_steps_left(report.steps_left);
  to.set_rounds(report.rounds);
  to.set_replicas_loaded(report.replicas_loaded);
  to.set_lost_experts(report.lost_experts);
  to.set_steps_since_plan(report.steps_since_plan);
  FillPlan(report.last_plan, *to.mutable_last_plan());
  if (report.proposal) FillPlan(report.proposed, *to.mutable_proposed());
  to.set_planning(report.proposal_pending);
}

absl::Status ApplyChange(const v1::ChangePlacementRequest& request, ClusterControl& control) {
  switch (request.action()) {
    case v1::ChangePlacementRequest::ACTION_PLAN: return control.AskForPlan(/*full=*/false), absl::OkStatus();
    case v1::ChangePlacementRequest::ACTION_PLAN_FULL: return control.AskForPlan(/*full=*/true), absl::OkStatus();
    case v1::ChangePlacementRequest::ACTION_APPLY: return control.ApplyPlan();
    case v1::ChangePlacementRequest::ACTION_FREEZE: return control.Freeze(true), absl::OkStatus();
    case v1::ChangePlacementRequest::ACTION_UNFREEZE: return control.Freeze(false), absl::OkStatus();
    default: return absl::InvalidArgumentError(absl::StrCat("placement: there is no action ", static_cast<int>(request.action())));
  }
}

}  // namespace atoll::router
