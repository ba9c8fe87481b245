// What ClusterState says of itself: readiness, its reasons, and the nodes' states.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "router/cluster/cluster_state.h"

namespace atoll::router {

bool ClusterState::AllExpertsLive() const {
  // Every expert has one replica, so each member counts; a second replica would make this a check per expert.
  return view_ != nullptr && std::all_of(view_->expert_nodes.begin(), view_->expert_nodes.end(), [](const ExpertPeer& p) { return p.alive; });
}

std::string ClusterState::UnreachablePeer(const Node& node) const {
  if (view_ == nullptr) return "";
  for (const ExpertPeer& peer : view_->expert_nodes) {
    const auto lost = node.heartbeat.lost_peers.find(peer.node_id);
    if (peer.alive && lost != node.heartbeat.lost_peers.end()) return absl::StrCat(peer.node_id, ": ", lost->second);
  }
  return "";
}

bool ClusterState::IsUsable(const Node& node) const {
  const auto told = told_.find(node.hello.node_id);
  return node.alive && !node.draining && told != told_.end() && told->second.connected && AllExpertsLive() &&
         told->second.probed_epoch == view_->epoch && UnreachablePeer(node).empty();
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
  if (Loaded(node)) return NodeState::kReady;
  const auto told = told_.find(node.hello.node_id);
  return told != told_.end() && told->second.assigned_epoch != 0 ? NodeState::kLoading : NodeState::kJoining;
}

std::vector<NodeReport> ClusterState::Report() const {
  std::vector<NodeReport> reports;
  for (const auto& [id, node] : registry_.nodes()) reports.push_back({.node = node, .state = StateOf(node), .experts = 0});
  if (placement_ == nullptr) return reports;
  for (NodeReport& report : reports) {
    const auto& ids = placement_->node_ids;
    const auto member = std::find(ids.begin(), ids.end(), report.node.hello.node_id);
    if (member == ids.end()) continue;
    report.experts = static_cast<int64_t>(model::ExpertsOfNode(*placement_, static_cast<int32_t>(member - ids.begin())).size());
  }
  return reports;
}

std::vector<LayerBalance> ClusterState::Balance() const {
  return placement_ == nullptr ? std::vector<LayerBalance>{} : counters_.Balance(*placement_);
}

std::string ClusterState::LoadingReason() const {
  size_t loaded = 0;
  uint64_t bytes = 0;
  uint64_t bytes_total = 0;
  std::string missing;
  for (const std::string& id : placement_->node_ids) {
    const Node* node = registry_.Find(id);
    if (node == nullptr || !node->alive) {
      absl::StrAppend(&missing, missing.empty() ? "; lost: " : ", ", id);
      continue;
    }
    loaded += Loaded(*node) ? 1 : 0;
    bytes += node->heartbeat.loaded_bytes;
    bytes_total += node->heartbeat.loaded_bytes + node->heartbeat.to_load_bytes;
  }
  const std::string part = bytes_total > 0 ? absl::StrCat(", ", 100 * bytes / bytes_total, " % of the bytes") : "";
  return absl::StrCat("experts are loading: ", loaded, " of ", placement_->node_ids.size(), " expert nodes have theirs", part, missing);
}

std::string ClusterState::LostExpertsReason() const {
  int64_t experts = 0;
  std::string nodes;
  for (size_t i = 0; i < view_->expert_nodes.size(); ++i) {
    if (view_->expert_nodes[i].alive) continue;
    experts += static_cast<int64_t>(model::ExpertsOfNode(*placement_, static_cast<int32_t>(i)).size());
    const Node* node = registry_.Find(view_->expert_nodes[i].node_id);
    absl::StrAppend(&nodes, nodes.empty() ? "" : ", ", view_->expert_nodes[i].node_id, node != nullptr && node->alive ? " is loading" : " is lost");
  }
  return absl::StrCat(experts, " experts have no live host: expert node ", nodes);
}

std::string ClusterState::AttentionReason() const {
  const std::vector<const Node*> nodes = registry_.Alive(NodeRole::kAttention);
  if (nodes.empty()) return "no attention node has joined";
  const Node& node = *nodes.front();
  const std::string name = absl::StrCat("attention node ", node.hello.node_id);
  const Told& told = told_.at(node.hello.node_id);
  if (node.draining) return absl::StrCat(name, " is draining");
  if (const std::string peer = UnreachablePeer(node); !peer.empty()) return absl::StrCat(name, " cannot reach expert node ", peer);
  if (node.heartbeat.epoch_ready < view_->epoch) return absl::StrCat(name, " is opening its links to the expert nodes");
  if (!told.connected) return absl::StrCat("the router is opening its stream to ", name);
  if (!told.probe_failure.empty()) return absl::StrCat(name, " failed its probe: ", told.probe_failure);
  return absl::StrCat(name, " is being probed with one token");
}

std::string ClusterState::NotReadyReason() const {
  if (ready()) return "";
  if (placement_ == nullptr) return why_no_placement_.empty() ? "no expert node has joined" : why_no_placement_;
  if (view_ == nullptr) return LoadingReason();
  if (!AllExpertsLive()) return LostExpertsReason();
  return AttentionReason();
}

}  // namespace atoll::router
