#include "router/cluster/cluster_state.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error_info.h"

namespace atoll::router {
namespace {

constexpr int64_t kReconnectAfterNs = 200'000'000;
constexpr int64_t kProbeAgainAfterNs = 250'000'000;
constexpr int64_t kNsPerMs = 1'000'000;
constexpr int64_t kCountedTicks = 4;  // of a late tick: a router that was stopped itself accuses nobody

}  // namespace

ClusterState::ClusterState(ClusterOptions options, ExpertsToPlace experts)
    : options_(std::move(options)),
      registry_(options_.registry),
      counters_(model::EmptyPlacement(*experts.config, experts.with_mtp)),
      keeper_(options_.placement, experts, &registry_, &epochs_) {}

absl::StatusOr<StreamId> ClusterState::OnHello(const NodeHello& hello, int64_t now_ns, Orders& orders) {
  const Node* before = registry_.Find(hello.node_id);
  const StreamId former = before != nullptr && before->alive ? before->stream : 0;
  ATOLL_ASSIGN_OR_RETURN(const StreamId stream, registry_.Join(hello, now_ns));
  if (former != 0) orders.ends.push_back({former, absl::AbortedError(absl::StrCat("node ", hello.node_id, " has joined again"))});
  const auto told = told_.find(hello.node_id);
  if (told != told_.end() && told->second.connected) orders.disconnects.push_back(hello.node_id);
  if (told != told_.end()) told_.erase(told);
  std::erase_if(told_, [&](const auto& entry) { return registry_.Find(entry.first) == nullptr; });
  epochs_.Raise(hello.loaded_epoch);
  if (hello.role == NodeRole::kExpert) keeper_.OnJoin(*registry_.Find(hello.node_id), now_ns);
  orders.log.push_back(absl::StrCat(NodeRoleName(hello.role), " node ", hello.node_id, " joined (", hello.control_address, ", ",
                                    hello.backend, ", speed ", hello.speed, ")"));
  Reconcile(now_ns, orders);
  return stream;
}

absl::Status ClusterState::OnHeartbeat(StreamId stream, const NodeHeartbeat& heartbeat, int64_t now_ns, Orders& orders) {
  ATOLL_RETURN_IF_ERROR(registry_.Heartbeat(stream, heartbeat, now_ns));
  ATOLL_RETURN_IF_ERROR(counters_.Add(heartbeat.expert_counts));
  epochs_.Raise(heartbeat.epoch_ready);
  keeper_.OnHeartbeat(*registry_.Find(stream), heartbeat);
  if (const auto told = told_.find(registry_.Find(stream)->hello.node_id); told != told_.end() && heartbeat.layers_run > 0) {
    // A long prompt is computed without a token; but steps whose sequences all fail get on, too.
    if (told->second.probe_failure.empty()) told->second.quiet_ns = 0;
  }
  Reconcile(now_ns, orders);
  return absl::OkStatus();
}

void ClusterState::OnLeaving(StreamId stream, const std::string& reason, int64_t now_ns, Orders& orders) {
  Node* node = registry_.Find(stream);
  if (node == nullptr || node->draining) return;
  orders.log.push_back(absl::StrCat(NodeRoleName(node->hello.role), " node ", node->hello.node_id, " is leaving: ", reason));
  registry_.SetDraining(stream);
  if (node->hello.role == NodeRole::kExpert) keeper_.OnLeaving(node->hello.node_id, now_ns);
  Reconcile(now_ns, orders);
}

void ClusterState::NoteLost(const Node& node, int64_t now_ns, Orders& orders) {
  orders.log.push_back(absl::StrCat(NodeRoleName(node.hello.role), " node ", node.hello.node_id, " is lost: ", node.lost_because));
  if (node.hello.role == NodeRole::kExpert) return keeper_.OnLost(node.hello.node_id, now_ns);
  if (told_[node.hello.node_id].connected) orders.disconnects.push_back(node.hello.node_id);
  told_[node.hello.node_id] = {};
}

void ClusterState::OnStreamEnd(StreamId stream, int64_t now_ns, Orders& orders) {
  Node* node = registry_.Find(stream);
  if (node == nullptr) return;
  registry_.End(stream, "its stream ended");
  NoteLost(*node, now_ns, orders);
  Reconcile(now_ns, orders);
}

void ClusterState::OnTick(int64_t now_ns, Orders& orders) {
  for (const StreamId stream : registry_.Tick(now_ns)) {
    orders.ends.push_back({stream, absl::UnavailableError("the router heard nothing for too long; join again")});
  }
  for (const auto& [id, node] : registry_.nodes()) {
    const auto silent = [&](const EndOrder& end) { return end.stream == node.stream; };
    if (!node.alive && std::any_of(orders.ends.begin(), orders.ends.end(), silent)) NoteLost(node, now_ns, orders);
  }
  WatchTokens(now_ns, orders);
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
  if (probe.again) return OnProbeAgain(probe, result, now_ns, orders);
  Told& told = told_[probe.node_id];
  told.probing = false;
  told.probe_after_ns = result.ok() ? now_ns : now_ns + kProbeAgainAfterNs;
  told.probe_failure = result.ok() ? "" : std::string(result.message());
  // What was asked before an expert was lost shows nothing any more.
  told.probed = result.ok() && probe.epoch == told.probe_epoch;
  orders.log.push_back(result.ok() ? absl::StrCat("attention node ", probe.node_id, " answered the probe of epoch ", probe.epoch)
                                   : absl::StrCat("attention node ", probe.node_id, " failed the probe of epoch ", probe.epoch, ": ",
                                                  result.message()));
  Reconcile(now_ns, orders);
}

// It is the missing token that makes a node stalled, not a probe's end: a full queue, say, is no failure.
void ClusterState::OnProbeAgain(const ProbeOrder& probe, const absl::Status& result, int64_t now_ns, Orders& orders) {
  Told& told = told_[probe.node_id];
  told.probing = false;
  if (result.ok()) return OnToken(probe.node_id, orders);
  told.probe_after_ns = now_ns + kProbeAgainAfterNs;
  if (told.probe_failure.empty()) orders.log.push_back(absl::StrCat("attention node ", probe.node_id, " gave no token: ", result.message()));
  told.probe_failure = std::string(result.message());
}

void ClusterState::OnToken(const std::string& node_id, Orders& orders) {
  const auto told = told_.find(node_id);
  if (told == told_.end()) return;
  told->second.quiet_ns = 0;
  if (told->second.probed) told->second.probe_failure.clear();
  if (std::exchange(told->second.stalled, false)) orders.log.push_back(absl::StrCat("attention node ", node_id, " makes tokens again"));
}

void ClusterState::WatchTokens(int64_t now_ns, Orders& orders) {
  const int64_t since_ns = ticked_ns_ == 0 ? 0 : std::min(now_ns - ticked_ns_, kCountedTicks * options_.registry.tick_ms * kNsPerMs);
  ticked_ns_ = now_ns;
  if (options_.tokens.probe_after_ms == 0) return;
  for (const Node* node : registry_.Alive(NodeRole::kAttention)) {
    Told& told = told_[node->hello.node_id];
    if (!told.probed || node->draining) {
      told.quiet_ns = 0;
      told.stalled = false;
      continue;
    }
    told.quiet_ns += since_ns;
    if (told.quiet_ns >= options_.tokens.stalled_after_ms * kNsPerMs && !std::exchange(told.stalled, true)) {
      orders.log.push_back(absl::StrCat("attention node ", node->hello.node_id, " has made no token for ", options_.tokens.stalled_after_ms,
                                        " ms; it gets no requests until one comes"));
    }
    const bool wanted = told.quiet_ns >= options_.tokens.probe_after_ms * kNsPerMs && told.connected;
    if (!wanted || told.probing || now_ns < told.probe_after_ns) continue;
    told.probing = true;
    orders.probes.push_back({.node_id = node->hello.node_id, .incarnation = node->hello.incarnation, .epoch = view()->epoch, .again = true});
  }
}

void ClusterState::OnPlan(const PlanResult& result, int64_t now_ns, Orders& orders) {
  keeper_.OnPlan(result, orders);
  Reconcile(now_ns, orders);
}

void ClusterState::AskForPlan(bool full, int64_t now_ns, Orders& orders) {
  keeper_.AskForPlan(full);
  Reconcile(now_ns, orders);
}

absl::Status ClusterState::ApplyPlan(int64_t now_ns, Orders& orders) {
  ATOLL_RETURN_IF_ERROR(keeper_.ApplyPlan(orders));
  Reconcile(now_ns, orders);
  return absl::OkStatus();
}

void ClusterState::Freeze(bool frozen, int64_t now_ns, Orders& orders) {
  keeper_.Freeze(frozen, orders);
  Reconcile(now_ns, orders);
}

void ClusterState::Reconcile(int64_t now_ns, Orders& orders) {
  keeper_.Advance(now_ns, FollowingNow(), orders);
  SendViews(orders);
  Connect(now_ns, orders);
  Probe(now_ns, orders);
}

// An attention node that cannot reach a peer never follows a view whole, and must not hold up everybody: what it still sends
// under an old one is refused there and sent again.
Following ClusterState::FollowingNow() const {
  Following following{.nodes = 0, .followed = UINT64_MAX, .seen = 0};
  for (const Node* node : registry_.Alive(NodeRole::kAttention)) {
    following.nodes += node->draining ? 0 : 1;
    following.seen = std::max(following.seen, node->heartbeat.epoch_ready);
    if (UnreachablePeer(*node).empty()) {
      const uint64_t in_flight = node->heartbeat.epoch_oldest_in_flight;  // 0: nothing
      following.followed = std::min({following.followed, node->heartbeat.epoch_ready, in_flight == 0 ? UINT64_MAX : in_flight});
    }
  }
  return following;
}

void ClusterState::SendViews(Orders& orders) {
  if (view() == nullptr) return;
  for (const Node* node : registry_.Alive(NodeRole::kAttention)) {
    Told& told = told_[node->hello.node_id];
    if (std::exchange(told.view_epoch, view()->epoch) != view()->epoch) orders.views.push_back({node->stream, view()});
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
  for (const Node* node : registry_.Alive(NodeRole::kAttention)) {
    Told& told = told_[node->hello.node_id];
    if (!AllExpertsLive() || !ReachesEveryExpert(*node)) {
      told.probed = false;  // what it reaches again must be shown by a token
      told.probe_epoch = 0;
      continue;
    }
    const bool wanted = told.connected && !told.probed && !node->draining && node->heartbeat.epoch_ready >= view()->epoch;
    if (!wanted || told.probing || now_ns < told.probe_after_ns) continue;
    told.probing = true;
    told.probe_epoch = view()->epoch;
    orders.probes.push_back({node->hello.node_id, node->hello.incarnation, view()->epoch});
  }
}

}  // namespace atoll::router
