// What ClusterState says of itself: readiness, its reasons, and the nodes' states.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "router/cluster/cluster_state.h"

namespace atoll::router {

std::string ClusterState::UnreachablePeer(const Node& node) const {
  if (view() == nullptr) return "";
  for (const ExpertPeer& peer : view()->expert_nodes) {
    const auto lost = node.heartbeat.lost_peers.find(peer.node_id);
    if (peer.alive && lost != node.heartbeat.lost_peers.end()) return absl::StrCat(peer.node_id, ": ", lost->second);
  }
  return "";
}

bool ClusterState::ReachesEveryExpert(const Node& node) const {
  if (UnreachablePeer(node).empty()) return true;
  std::vector<bool> reached;
  for (const ExpertPeer& peer : view()->expert_nodes) reached.push_back(peer.alive && !node.heartbeat.lost_peers.contains(peer.node_id));
  return std::all_of(view()->placement->replicas.begin(), view()->placement->replicas.end(), [&](const std::vector<model::Replica>& replicas) {
    return replicas.empty() || std::any_of(replicas.begin(), replicas.end(), [&](const model::Replica& r) { return reached[r.node]; });
  });
}

bool ClusterState::IsUsable(const Node& node) const {
  const auto told = told_.find(node.hello.node_id);
  return node.alive && !node.draining && told != told_.end() && told->second.connected && told->second.probed && !told->second.stalled &&
         AllExpertsLive() && ReachesEveryExpert(node);
}

std::vector<const Node*> ClusterState::Usable() const {
  std::vector<const Node*> usable;
  for (const Node* node : registry_.Alive(NodeRole::kAttention)) {
    if (IsUsable(*node)) usable.push_back(node);
  }
  return usable;
}

NodeState ClusterState::StateOf(const Node& node) const {
  if (!node.alive) return NodeState::kLost;
  if (node.draining) return NodeState::kDraining;
  if (node.hello.role == NodeRole::kAttention) return IsUsable(node) ? NodeState::kReady : NodeState::kJoining;
  const Holding* holding = keeper_.holdings().Find(node.hello.node_id);
  if (holding == nullptr || !keeper_.placed()) return NodeState::kJoining;
  return holding->ready() ? NodeState::kReady : NodeState::kLoading;
}

std::vector<NodeReport> ClusterState::Report() const {
  std::vector<NodeReport> reports;
  for (const auto& [id, node] : registry_.nodes()) {
    const Holding* holding = keeper_.holdings().Find(id);
    reports.push_back({.node = node,
                       .state = StateOf(node),
                       .experts = holding == nullptr ? 0 : static_cast<int64_t>(holding->assigned.size()),
                       .speed = node.hello.role == NodeRole::kExpert ? keeper_.SpeedOf(node) : node.hello.speed});
  }
  return reports;
}

std::vector<LayerBalance> ClusterState::Balance() const {
  return view() == nullptr ? std::vector<LayerBalance>{} : counters_.Balance(*view()->placement);
}

std::string ClusterState::LoadingReason() const {
  size_t nodes = 0, loaded = 0;
  uint64_t bytes = 0;
  uint64_t bytes_total = 0;
  std::string missing;
  for (const auto& [id, holding] : keeper_.holdings().nodes()) {
    if (holding.assigned.empty()) continue;
    ++nodes;
    const Node* node = registry_.Find(id);
    if (node == nullptr || !holding.alive) {
      absl::StrAppend(&missing, missing.empty() ? "; lost: " : ", ", id);
      continue;
    }
    loaded += holding.ready() ? 1 : 0;
    bytes += node->heartbeat.loaded_bytes;
    bytes_total += node->heartbeat.loaded_bytes + node->heartbeat.to_load_bytes;
  }
  const std::string part = bytes_total > 0 ? absl::StrCat(", ", 100 * bytes / bytes_total, " % of the bytes") : "";
  return absl::StrCat("experts are loading: ", loaded, " of ", nodes, " expert nodes have theirs", part, missing);
}

std::string ClusterState::LostExpertsReason() const {
  std::string nodes;
  for (const ExpertPeer& peer : view()->expert_nodes) {
    if (peer.alive) continue;
    const Node* node = registry_.Find(peer.node_id);
    absl::StrAppend(&nodes, nodes.empty() ? ": expert node " : ", ", peer.node_id, node != nullptr && node->alive ? " is loading" : " is lost");
  }
  return absl::StrCat(keeper_.lost_experts(), " experts have no live host", nodes);
}

std::string ClusterState::AttentionReason() const {
  const std::vector<const Node*> nodes = registry_.Alive(NodeRole::kAttention);
  if (nodes.empty()) return "no attention node has joined";
  const Node& node = *nodes.front();
  const std::string name = absl::StrCat("attention node ", node.hello.node_id);
  const Told& told = told_.at(node.hello.node_id);
  if (node.draining) return absl::StrCat(name, " is draining");
  if (const std::string peer = UnreachablePeer(node); !peer.empty()) return absl::StrCat(name, " cannot reach expert node ", peer);
  if (!told.probed && node.heartbeat.epoch_ready < view()->epoch) return absl::StrCat(name, " is opening its links to the expert nodes");
  if (!told.connected) return absl::StrCat("the router is opening its stream to ", name);
  if (told.stalled) {
    return absl::StrCat(name, " has made no token for ", told.quiet_ns / 1000000, " ms", told.probe_failure.empty() ? "" : ": ", told.probe_failure);
  }
  if (!told.probe_failure.empty()) return absl::StrCat(name, " failed its probe: ", told.probe_failure);
  return absl::StrCat(name, " is being probed with one token");
}

std::string ClusterState::NotExactReason() const {
  if (!registry_.exact()) return "nodes of different numerics were admitted: tokens may depend on the node";
  const float epsilon = routing_bias().epsilon();
  if (epsilon > 0) return absl::StrCat("--routing-bias-epsilon is ", epsilon, ": tokens may depend on the cluster and on what else is served");
  return "";
}

std::string ClusterState::NotReadyReason() const {
  if (ready()) return "";
  if (!keeper_.placed()) return keeper_.why_no_placement().empty() ? "no expert node has joined" : keeper_.why_no_placement();
  if (view() == nullptr) return LoadingReason();
  if (!AllExpertsLive()) return LostExpertsReason();
  return AttentionReason();
}

}  // namespace atoll::router
