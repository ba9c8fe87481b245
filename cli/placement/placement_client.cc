#include "cli/placement/placement_client.h"

#include <grpcpp/grpcpp.h>

#include <chrono>

#include "atoll/v1/cluster.grpc.pb.h"
#include "cli/placement/routing_bias_figures.h"
#include "net/grpc/status_map.h"

namespace atoll::cli {
namespace {

constexpr auto kTimeout = std::chrono::seconds(10);

PlanFigures ToFigures(const v1::PlanSummary& from) {
  return {from.kind(), from.failure(), from.balance_mean(), from.balance_worst(), from.loads(), from.frees(), from.bytes(), from.uncovered_by_one_loss()};
}

PlacedLayer ToLayer(const v1::LayerPlacement& from) {
  PlacedLayer layer{from.layer(), {}, {}, {from.expected_share().begin(), from.expected_share().end()}};
  for (const v1::ExpertReplicas& replicas : from.experts()) {
    layer.nodes.emplace_back(replicas.node().begin(), replicas.node().end());
    layer.shares.emplace_back(replicas.share().begin(), replicas.share().end());
  }
  return layer;
}

v1::ChangePlacementRequest::Action ToProto(PlacementAction action) {
  switch (action) {
    case PlacementAction::kPlan: return v1::ChangePlacementRequest::ACTION_PLAN;
    case PlacementAction::kPlanFull: return v1::ChangePlacementRequest::ACTION_PLAN_FULL;
    case PlacementAction::kApply: return v1::ChangePlacementRequest::ACTION_APPLY;
    case PlacementAction::kFreeze: return v1::ChangePlacementRequest::ACTION_FREEZE;
    case PlacementAction::kUnfreeze: return v1::ChangePlacementRequest::ACTION_UNFREEZE;
  }
  return v1::ChangePlacementRequest::ACTION_UNSPECIFIED;
}

}  // namespace

Balancer ToBalancer(const v1::BalancerStatus& from) {
  Balancer balancer;
  balancer.enabled = from.enabled();
  balancer.frozen = from.frozen();
  balancer.stuck = from.stuck();
  balancer.planning = from.planning();
  balancer.placement_epoch = from.placement_epoch();
  balancer.rounds = from.rounds();
  balancer.replicas_loaded = from.replicas_loaded();
  balancer.activity = from.activity();
  balancer.age_ms = from.age_ms();
  balancer.steps_left = from.steps_left();
  balancer.lost_experts = from.lost_experts();
  balancer.steps_since_plan = from.steps_since_plan();
  balancer.last_plan = ToFigures(from.last_plan());
  if (from.has_proposed()) balancer.proposed = ToFigures(from.proposed());
  return balancer;
}

RoutingBiasFigures ToRoutingBiasFigures(const v1::RoutingBiasStatus& from) {
  const v1::RoutingBiasCounts& totals = from.totals();
  RoutingBiasFigures figures;
  figures.asked = true;
  figures.epsilon = from.epsilon();
  figures.off_reason = from.off_reason();
  figures.decisions = totals.decisions();
  figures.changed = totals.changed();
  if (totals.score_mass() > 0) figures.mass_kept = totals.score_mass_kept() / totals.score_mass();
  if (totals.batches() > 0) {
    figures.busiest_before = totals.busiest_before() / static_cast<double>(totals.batches());
    figures.busiest_after = totals.busiest_after() / static_cast<double>(totals.batches());
  }
  return figures;
}

struct PlacementClient::Stub {
  std::unique_ptr<v1::ClusterService::Stub> cluster;
};

PlacementClient::PlacementClient(const std::string& address)
    : stub_(std::make_unique<Stub>(Stub{v1::ClusterService::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))})) {}
PlacementClient::~PlacementClient() = default;

absl::StatusOr<PlacementTable> PlacementClient::Get(bool with_layers) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kTimeout);
  v1::GetPlacementRequest request;
  request.set_view(with_layers);
  v1::GetPlacementResponse response;
  ATOLL_RETURN_IF_ERROR(net::FromGrpcStatus(stub_->cluster->GetPlacement(&context, request, &response)));
  PlacementTable table{response.view().epoch(), {}, {}, ToBalancer(response.balancer())};
  for (const v1::ExpertNode& node : response.view().expert_nodes()) table.nodes.push_back({node.node_id(), node.control_address(), node.speed(), node.alive()});
  for (const v1::LayerPlacement& layer : response.view().layers()) table.layers.push_back(ToLayer(layer));
  return table;
}

absl::Status PlacementClient::Change(PlacementAction action) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kTimeout);
  v1::ChangePlacementRequest request;
  request.set_action(ToProto(action));
  v1::ChangePlacementResponse response;
  return net::FromGrpcStatus(stub_->cluster->ChangePlacement(&context, request, &response));
}

}  // namespace atoll::cli
