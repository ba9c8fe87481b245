#include "attention_node/routing/routing_table.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace atoll::attention_node {
namespace {

// A view comes over a wire: no speed of it may make levels infinite.
constexpr double kSpeedMin = 1e-3, kSpeedMax = 1e3;

double SaneSpeed(double speed) { return std::isfinite(speed) ? std::clamp(speed, kSpeedMin, kSpeedMax) : 1; }

bool OnOneHost(const std::vector<node::ExpertPeer>& peers) {
  if (peers.empty()) return false;
  const std::string_view host = node::HostPart(peers.front().control_address);
  return !host.empty() && std::all_of(peers.begin(), peers.end(), [&](const node::ExpertPeer& peer) {
    return !peer.alive || node::HostPart(peer.control_address) == host;
  });
}

}  // namespace

// Nodes of one host share its processors and memory, so that their times add up: an expert that is split there is only read twice.
RoutingTable::RoutingTable(node::ClusterView view, const RoutingOptions& given) : view_(std::move(view)) {
  RoutingOptions options = given;
  if (OnOneHost(view_.expert_nodes)) options.roofline.row_us = 0;
  for (int32_t layer = 0; layer < view_.placement.layers; ++layer)
    layers_.push_back(HasExperts(layer) ? MakeLayer(layer, options) : LayerReplicas{});
}

LayerReplicas RoutingTable::MakeLayer(int32_t layer, const RoutingOptions& options) const {
  LayerReplicas made;
  int32_t most = 0, fewest = 1;
  for (int32_t expert = 0; expert < view_.placement.experts; ++expert) {
    made.first.push_back(static_cast<int32_t>(made.node.size()));
    AddReplicas({layer, expert}, made.node);
    const int32_t copies = static_cast<int32_t>(made.node.size()) - made.first.back();
    most = std::max(most, copies);
    fewest = std::min(fewest, copies);
  }
  made.first.push_back(static_cast<int32_t>(made.node.size()));
  if (most < 2 || fewest < 1) return made;
  std::vector<double> speed;
  for (const node::ExpertPeer& peer : view_.expert_nodes) speed.push_back(SaneSpeed(peer.speed));
  made.choice = std::make_unique<ReplicaChoice>(MakeReplicaMap(made.first, made.node, speed), options.roofline, options.salt);
  return made;
}

void RoutingTable::AddReplicas(model::ExpertId expert, std::vector<int32_t>& node) const {
  const std::vector<model::Replica>& replicas = view_.placement.ReplicasOf(expert);
  const size_t before = node.size();
  for (const model::Replica& replica : replicas)
    if (view_.expert_nodes[replica.node].alive) node.push_back(replica.node);
  if (node.size() > before) return;
  for (const model::Replica& replica : replicas) node.push_back(replica.node);
}

}  // namespace atoll::attention_node
