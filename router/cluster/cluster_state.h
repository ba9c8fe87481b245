#pragma once

// What the cluster is and what is to be done next: membership, placement, views, readiness. Every event returns the orders
// that follow from it; a shell carries them out. Plain code with time passed in; thread-compatible.
//
// Expert nodes join -> placement -> assignments -> all loaded -> view -> attention nodes open their links -> each is
// probed with one token -> ready. A lost expert node gives a view that says so; when it is back, it is assigned its former
// experts and a view follows.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "router/cluster/expert_counters.h"
#include "router/cluster/node.h"
#include "router/cluster/orders.h"
#include "router/cluster/registry.h"
#include "router/placement/initial_placement.h"

namespace atoll::router {

struct ClusterOptions {
  RegistryOptions registry;
  int64_t min_expert_nodes = 1;
};

struct NodeReport {
  Node node;
  NodeState state = NodeState::kJoining;
  int64_t experts = 0;
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
  void OnProbe(const ProbeOrder& probe, const absl::Status& result, int64_t now_ns, Orders& orders);

  // Attention nodes that may be given work, by node id.
  std::vector<const Node*> Usable() const;
  bool ready() const { return !Usable().empty(); }
  std::string NotReadyReason() const;  // one sentence; empty when ready
  bool AllExpertsLive() const;

  uint64_t epoch() const { return epoch_; }
  bool exact() const { return registry_.exact(); }
  std::vector<NodeReport> Report() const;
  const ExpertCounters& counters() const { return counters_; }
  std::vector<LayerBalance> Balance() const;

 private:
  // What the present life of a node has been told and has shown; cleared when it joins.
  struct Told {
    uint64_t assigned_epoch = 0;  // expert node
    uint64_t view_epoch = 0;      // attention node, as the rest
    bool connected = false;
    int64_t connect_after_ns = 0;
    uint64_t probed_epoch = 0;
    bool probing = false;
    int64_t probe_after_ns = 0;
    std::string probe_failure;
  };

  void Reconcile(int64_t now_ns, Orders& orders);
  void Place(Orders& orders);
  void Assign(Orders& orders);
  void Publish(Orders& orders);
  void SendViews(Orders& orders);
  void Connect(int64_t now_ns, Orders& orders);
  void Probe(int64_t now_ns, Orders& orders);

  bool Loaded(const Node& node) const;
  bool IsUsable(const Node& node) const;
  // The first expert node of the view that `node` cannot reach, as "id: reason"; empty where it reaches all.
  std::string UnreachablePeer(const Node& node) const;
  std::vector<ExpertPeer> PeersNow() const;
  bool EveryMemberLoaded() const;
  NodeState StateOf(const Node& node) const;
  void Raise(uint64_t epoch_seen);
  void NoteLost(const Node& node, Orders& orders);
  std::string LoadingReason() const;
  std::string LostExpertsReason() const;
  std::string AttentionReason() const;

  const ClusterOptions options_;
  const ExpertsToPlace experts_;
  Registry registry_;
  ExpertCounters counters_;
  std::map<std::string, Told> told_;
  uint64_t epoch_ = 0;  // the newest given out
  std::shared_ptr<const model::Placement> placement_;
  std::string why_no_placement_;
  std::shared_ptr<const ClusterView> view_;
};

}  // namespace atoll::router
