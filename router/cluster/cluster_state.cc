#include "router/cluster/cluster_state.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error_info.h"

namespace atoll::router {
namespace {

constexpr int64_t kReconnectAfterNs = 200'000'000;
constexpr int64_t kProbeAgainAfterNs = 250'000'000;

}  // namespace

ClusterState::ClusterState(ClusterOptions options, ExpertsToPlace experts)
    : options_(std::move(options)),
      experts_(experts),
      registry_(options_.registry),
      counters_(model::EmptyPlacement(*experts.config, experts.with_mtp)) {}

absl::StatusOr<StreamId> ClusterState::OnHello(const NodeHello& hello, int64_t now_ns, Orders& orders) {
  const Node* before = registry_.Find(hello.node_id);
  const StreamId former = before != nullptr && before->alive ? before->stream : 0;
  ATOLL_ASSIGN_OR_RETURN(const StreamId stream, registry_.Join(hello, now_ns));
  if (former != 0) orders.ends.push_back({former, absl::AbortedError(absl::StrCat("node ", hello.node_id, " has joined again"))});
  if (told_[hello.node_id].connected) orders.disconnects.push_back(hello.node_id);
  told_[hello.node_id] = {};
  std::erase_if(told_, [&](const auto& entry) { return registry_.Find(entry.first) == nullptr; });
  Raise(hello.loaded_epoch);
  orders.log.push_back(absl::StrCat(NodeRoleName(hello.role), " node ", hello.node_id, " joined (", hello.control_address, ", ",
                                    hello.backend, ", speed ", hello.speed, ")"));
  Reconcile(now_ns, orders);
  return stream;
}

absl::Status ClusterState::OnHeartbeat(StreamId stream, const NodeHeartbeat& heartbeat, int64_t now_ns, Orders& orders) {
  ATOLL_RETURN_IF_ERROR(registry_.Heartbeat(stream, heartbeat, now_ns));
  ATOLL_RETURN_IF_ERROR(counters_.Add(heartbeat.expert_counts));
  Raise(heartbeat.epoch_ready);
  Told& told = told_[registry_.Find(stream)->hello.node_id];
  // What it reaches again must be shown by a token.
  if (!UnreachablePeer(*registry_.Find(stream)).empty()) told.probed_epoch = 0;
  Reconcile(now_ns, orders);
  return absl::OkStatus();
}

void ClusterState::OnLeaving(StreamId stream, const std::string& reason, int64_t now_ns, Orders& orders) {
  Node* node = registry_.Find(stream);
  if (node == nullptr) return;
  orders.log.push_back(absl::StrCat(NodeRoleName(node->hello.role), " node ", node->hello.node_id, " is leaving: ", reason));
  registry_.SetDraining(stream);
  Reconcile(now_ns, orders);
}

void ClusterState::NoteLost(const Node& node, Orders& orders) {
  orders.log.push_back(absl::StrCat(NodeRoleName(node.hello.role), " node ", node.hello.node_id, " is lost: ", node.lost_because));
  if (told_[node.hello.node_id].connected) orders.disconnects.push_back(node.hello.node_id);
  told_[node.hello.node_id] = {};
}

void ClusterState::OnStreamEnd(StreamId stream, int64_t now_ns, Orders& orders) {
  Node* node = registry_.Find(stream);
  if (node == nullptr) return;
  registry_.End(stream, "its stream ended");
  NoteLost(*node, orders);
  Reconcile(now_ns, orders);
}

void ClusterState::OnTick(int64_t now_ns, Orders& orders) {
  for (const StreamId stream : registry_.Tick(now_ns)) {
    orders.ends.push_back({stream, absl::UnavailableError("the router heard nothing for too long; join again")});
  }
  for (const auto& [id, node] : registry_.nodes()) {
    const auto silent = [&](const EndOrder& end) { return end.stream == node.stream; };
    if (!node.alive && std::any_of(orders.ends.begin(), orders.ends.end(), silent)) NoteLost(node, orders);
  }
  Reconcile(now_ns, orders);
}

void ClusterState::OnAttentionStreamEnd(const std::string& node_id, uint64_t incarnation, int64_t now_ns, Orders& orders) {
  const Node* node = registry_.Find(node_id);
  if (node == nullptr || !node->alive || node->hello.incarnation != incarnation || !told_[node_id].connected) return;
  const uint64_t view_epoch = told_[node_id].view_epoch;
  told_[node_id] = {};
  told_[node_id].view_epoch = view_epoch;
  told_[node_id].connect_after_ns = now_ns + kReconnectAfterNs;
  orders.disconnects.push_back(node_id);
  orders.log.push_back(absl::StrCat("the stream to attention node ", node_id, " ended; it is opened again"));
  Reconcile(now_ns, orders);
}

void ClusterState::OnProbe(const ProbeOrder& probe, const absl::Status& result, int64_t now_ns, Orders& orders) {
  const Node* node = registry_.Find(probe.node_id);
  if (node == nullptr || !node->alive || node->hello.incarnation != probe.incarnation) return;
  Told& told = told_[probe.node_id];
  told.probing = false;
  told.probe_after_ns = result.ok() ? now_ns : now_ns + kProbeAgainAfterNs;
  told.probe_failure = result.ok() ? "" : std::string(result.message());
  if (result.ok()) told.probed_epoch = probe.epoch;
  orders.log.push_back(result.ok() ? absl::StrCat("attention node ", probe.node_id, " answered the probe of epoch ", probe.epoch)
                                   : absl::StrCat("attention node ", probe.node_id, " failed the probe of epoch ", probe.epoch, ": ",
                                                  result.message()));
  Reconcile(now_ns, orders);
}

// Epochs only grow, also over the life of a router that nodes still remember.
void ClusterState::Raise(uint64_t epoch_seen) { epoch_ = std::max(epoch_, epoch_seen); }

void ClusterState::Reconcile(int64_t now_ns, Orders& orders) {
  Place(orders);
  Assign(orders);
  Publish(orders);
  SendViews(orders);
  Connect(now_ns, orders);
  Probe(now_ns, orders);
}

void ClusterState::Place(Orders& orders) {
  if (placement_ != nullptr) return;
  std::vector<ExpertNodeOffer> offers;
  for (const Node* node : registry_.Alive(NodeRole::kExpert)) {
    if (node->draining) continue;
    offers.push_back({node->hello.node_id, node->hello.memory_bytes, node->hello.speed, node->hello.loaded});
  }
  if (static_cast<int64_t>(offers.size()) < std::max<int64_t>(1, options_.min_expert_nodes)) {
    why_no_placement_ = absl::StrCat(offers.size(), " of ", options_.min_expert_nodes, " expert nodes have joined");
    return;
  }
  absl::StatusOr<model::Placement> placement = InitialPlacement(experts_, offers);
  if (!placement.ok()) {
    why_no_placement_ = std::string(placement.status().message());
    return;
  }
  placement->epoch = ++epoch_;
  placement_ = std::make_shared<const model::Placement>(*std::move(placement));
  orders.log.push_back(absl::StrCat("placed the experts on ", offers.size(), " expert nodes, epoch ", epoch_));
}

void ClusterState::Assign(Orders& orders) {
  if (placement_ == nullptr) return;
  for (size_t i = 0; i < placement_->node_ids.size(); ++i) {
    const Node* node = registry_.Find(placement_->node_ids[i]);
    if (node == nullptr || !node->alive || node->hello.role != NodeRole::kExpert) continue;
    Told& told = told_[node->hello.node_id];
    if (told.assigned_epoch != 0) continue;
    std::vector<model::ExpertId> experts = model::ExpertsOfNode(*placement_, static_cast<int32_t>(i));
    const uint64_t bytes = experts.size() * static_cast<uint64_t>(experts_.expert_bytes);
    if (bytes > node->hello.memory_bytes) {
      told.assigned_epoch = kEpochMax + 1;  // never reached: it stays without experts in this life
      orders.log.push_back(absl::StrCat("expert node ", node->hello.node_id, " came back with ", node->hello.memory_bytes,
                                        " bytes, its experts need ", bytes, "; restart it with enough memory"));
      continue;
    }
    told.assigned_epoch = ++epoch_;
    orders.assignments.push_back({node->stream, told.assigned_epoch, std::move(experts)});
  }
}

bool ClusterState::Loaded(const Node& node) const {
  const auto told = told_.find(node.hello.node_id);
  return node.alive && told != told_.end() && told->second.assigned_epoch != 0 && node.heard &&
         node.heartbeat.epoch_ready >= told->second.assigned_epoch;
}

std::vector<ExpertPeer> ClusterState::PeersNow() const {
  std::vector<ExpertPeer> peers;
  for (const std::string& id : placement_->node_ids) {
    const Node* node = registry_.Find(id);
    if (node == nullptr) {
      peers.push_back({.node_id = id, .incarnation = 0, .control_address = "", .speed = 1, .alive = false});
    } else {
      peers.push_back({id, node->hello.incarnation, node->hello.control_address, node->hello.speed, Loaded(*node)});
    }
  }
  return peers;
}

bool ClusterState::EveryMemberLoaded() const {
  const std::vector<std::string>& ids = placement_->node_ids;
  return std::all_of(ids.begin(), ids.end(), [&](const std::string& id) {
    const Node* node = registry_.Find(id);
    return node != nullptr && Loaded(*node);
  });
}

void ClusterState::Publish(Orders& orders) {
  if (placement_ == nullptr || (view_ == nullptr && !EveryMemberLoaded())) return;
  std::vector<ExpertPeer> peers = PeersNow();
  // A view with a greater epoch than ours comes from a router before us: ours must follow it.
  bool overtaken = false;
  for (const Node* node : registry_.Alive(NodeRole::kAttention)) {
    overtaken = overtaken || (view_ != nullptr && node->heartbeat.epoch_ready > view_->epoch);
  }
  if (view_ != nullptr && !overtaken && peers == view_->expert_nodes) return;
  view_ = std::make_shared<const ClusterView>(ClusterView{.epoch = ++epoch_, .expert_nodes = std::move(peers), .placement = placement_, .expected_share = {}, .routing_bias = {}});
  const auto live = std::count_if(view_->expert_nodes.begin(), view_->expert_nodes.end(), [](const ExpertPeer& p) { return p.alive; });
  orders.log.push_back(absl::StrCat("view of epoch ", epoch_, ": ", live, " of ", view_->expert_nodes.size(), " expert nodes serve"));
}

void ClusterState::SendViews(Orders& orders) {
  if (view_ == nullptr) return;
  for (const Node* node : registry_.Alive(NodeRole::kAttention)) {
    Told& told = told_[node->hello.node_id];
    if (std::exchange(told.view_epoch, view_->epoch) != view_->epoch) orders.views.push_back({node->stream, view_});
  }
}

void ClusterState::Connect(int64_t now_ns, Orders& orders) {
  for (const Node* node : registry_.Alive(NodeRole::kAttention)) {
    Told& told = told_[node->hello.node_id];
    if (told.connected || now_ns < told.connect_after_ns) continue;
    told.connected = true;
    orders.connects.push_back({node->hello.node_id, node->hello.incarnation, node->hello.control_address});
  }
}

void ClusterState::Probe(int64_t now_ns, Orders& orders) {
  if (!AllExpertsLive()) return;
  for (const Node* node : registry_.Alive(NodeRole::kAttention)) {
    Told& told = told_[node->hello.node_id];
    const bool wanted = told.connected && !node->draining && node->heartbeat.epoch_ready >= view_->epoch &&
                        told.probed_epoch != view_->epoch && UnreachablePeer(*node).empty();
    if (!wanted || told.probing || now_ns < told.probe_after_ns) continue;
    told.probing = true;
    orders.probes.push_back({node->hello.node_id, node->hello.incarnation, view_->epoch});
  }
}

}  // namespace atoll::router
