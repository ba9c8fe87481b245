#include "attention_node/routing_bias/bias_view.h"

namespace atoll::attention_node {
namespace {

// Over the nodes that hold something of the layer and live, so that the mean is one that they can reach.
std::unique_ptr<NearTies> NearTiesOf(const node::ClusterView& view, int32_t layer) {
  const model::Placement& placement = view.placement;
  std::vector<int32_t> first{0}, node, index_of(view.expert_nodes.size(), -1);
  std::vector<double> speed;
  for (int32_t e = 0; e < placement.experts; ++e) {
    for (const model::Replica& replica : placement.ReplicasOf({layer, e})) {
      const node::ExpertPeer& peer = view.expert_nodes[replica.node];
      if (!peer.alive) continue;
      int32_t& index = index_of[replica.node];
      if (index < 0) index = static_cast<int32_t>(speed.size()), speed.push_back(peer.speed > 0 ? peer.speed : 1);
      node.push_back(index);
    }
    if (static_cast<int32_t>(node.size()) == first.back()) return nullptr;
    first.push_back(static_cast<int32_t>(node.size()));
  }
  return std::make_unique<NearTies>(MakeReplicaMap(first, node, speed), 0);
}

}  // namespace

std::unique_ptr<BiasView> MakeBiasView(const node::ClusterView& view) {
  if (!(view.routing_bias_epsilon > 0)) return nullptr;
  auto bias = std::make_unique<BiasView>();
  bias->epsilon = view.routing_bias_epsilon;
  bias->changed_max = view.routing_bias_changed_max;
  bias->delta = view.routing_bias;
  bias->delta.resize(static_cast<size_t>(view.placement.layers));
  for (int32_t layer = 0; layer < view.placement.layers; ++layer)
    bias->near_ties.push_back(view.placement.layer_has_experts[layer] ? NearTiesOf(view, layer) : nullptr);
  return bias;
}

}  // namespace atoll::attention_node
