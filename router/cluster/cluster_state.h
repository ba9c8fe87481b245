#pragma once

// What the cluster is and what is to be done next: membership, readiness, and through PlacementKeeper who holds what. Every
// event returns the orders that follow from it; a shell carries them out. Plain code with time passed in; thread-compatible.
//
// Expert nodes join -> plan -> assignments -> all loaded -> view -> attention nodes open their links -> each is probed with
// one token -> ready. A node that was probed stays usable from view to view, as long as it reaches a replica of every expert.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "router/cluster/expert_counters.h"
#include "router/cluster/node.h"
#include "router/cluster/orders.h"
#include "router/cluster/placement_keeper.h"
#include "router/cluster/registry.h"
#include "router/cluster/token_options.h"

namespace atoll::router {

struct ClusterOptions {
  RegistryOptions registry;
  TokenOptions tokens;
  PlacementOptions placement;
};

struct NodeReport {
  Node node;
  NodeState state = NodeState::kJoining;
  int64_t experts = 0;
  double speed = 1;  // to split by; of an expert node
};

class ClusterState {
 public:
  ClusterState(ClusterOptions options, ExpertsToPlace experts);

  absl::StatusOr<StreamId> OnHello(const NodeHello& hello, int64_t now_ns, Orders& orders);
  // Not OK: the stream must end with that status.
  absl::Status OnHeartbeat(StreamId stream, const NodeHeartbeat& heartbeat, int64_t now_ns, Orders& orders);
  void OnLeaving(StreamId stream, const std::string& reason, int64_t now_ns, Orders& orders);
  void OnStreamEnd(StreamId stream, int64_t now_ns, Orders& orders);
  // Every RegistryOptions::tick_ms.
  void OnTick(int64_t now_ns, Orders& orders);
  // The stream for sequences to that life of an attention node is over.
  void OnAttentionStreamEnd(const std::string& node_id, uint64_t incarnation, int64_t now_ns, Orders& orders);
  // A token has come from that attention node.
  void OnToken(const std::string& node_id, Orders& orders);
  void OnProbe(const ProbeOrder& probe, const absl::Status& result, int64_t now_ns, Orders& orders);
  void OnPlan(const PlanResult& result, int64_t now_ns, Orders& orders);
  // An operator's; see PlacementKeeper.
  void AskForPlan(bool full, int64_t now_ns, Orders& orders);
  absl::Status ApplyPlan(int64_t now_ns, Orders& orders);
  void Freeze(bool frozen, int64_t now_ns, Orders& orders);

  // Attention nodes that may be given work, by node id.
  std::vector<const Node*> Usable() const;
  bool ready() const { return !Usable().empty(); }
  std::string NotReadyReason() const;  // one sentence; empty when ready
  bool AllExpertsLive() const { return view() != nullptr && keeper_.lost_experts() == 0; }

  uint64_t epoch() const { return epochs_.newest(); }
  std::string NotExactReason() const;  // one sentence; empty where promise P1 holds
  bool exact() const { return NotExactReason().empty(); }
  const RoutingBias& routing_bias() const { return keeper_.routing_bias(); }
  std::vector<NodeReport> Report() const;
  BalancerReport Balancer(int64_t now_ns) const { return keeper_.Report(now_ns); }
  const std::shared_ptr<const ClusterView>& view() const { return keeper_.view(); }
  const Holdings& holdings() const { return keeper_.holdings(); }
  const ExpertCounters& counters() const { return counters_; }
  std::vector<LayerBalance> Balance() const;

 private:
  // What the present life of an attention node has been told and has shown; cleared when it joins.
  struct Told {
    uint64_t view_epoch = 0;
    bool connected = false;
    int64_t connect_after_ns = 0;
    bool probed = false;       // a token came through since it last reached every expert
    uint64_t probe_epoch = 0;  // of the probe that counts; 0: none
    bool probing = false;
    int64_t probe_after_ns = 0;
    std::string probe_failure;
    int64_t quiet_ns = 0;  // since it was last seen to get on, while probed
    bool stalled = false;
  };

  void Reconcile(int64_t now_ns, Orders& orders);
  void SendViews(Orders& orders);
  void Connect(int64_t now_ns, Orders& orders);
  void Probe(int64_t now_ns, Orders& orders);
  void WatchTokens(int64_t now_ns, Orders& orders);
  void OnProbeAgain(const ProbeOrder& probe, const absl::Status& result, int64_t now_ns, Orders& orders);

  Following FollowingNow() const;
  bool IsUsable(const Node& node) const;
  // The first expert node of the view that `node` cannot reach, as "id: reason"; empty where it reaches all.
  std::string UnreachablePeer(const Node& node) const;
  // It reaches a live replica of every expert.
  bool ReachesEveryExpert(const Node& node) const;
  NodeState StateOf(const Node& node) const;
  void NoteLost(const Node& node, int64_t now_ns, Orders& orders);
  std::string LoadingReason() const;
  std::string LostExpertsReason() const;
  std::string AttentionReason() const;

  const ClusterOptions options_;
  Registry registry_;
  Epochs epochs_;
  ExpertCounters counters_;
  PlacementKeeper keeper_;
  std::map<std::string, Told> told_;  // attention nodes
  int64_t ticked_ns_ = 0;             // 0: not yet
};

}  // namespace atoll::router
