#pragma once

// Who is in the cluster: join, heartbeat, leave, lost. Plain code with time passed in; thread-compatible.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "router/cluster/node.h"

namespace atoll::router {

enum class NodeState { kJoining, kLoading, kReady, kDraining, kLost };
const char* NodeStateName(NodeState state);

// Names one Join stream; a node that joins again gets another.
using StreamId = uint64_t;

struct RegistryOptions {
  uint64_t model_fingerprint = 0;  // of the router's own model folder
  int64_t peer_silence_ms = 500;
  int64_t tick_ms = 50;  // how often Tick is called
  bool mixed_numerics = false;
};

inline constexpr size_t kNodesMax = 4096;
inline constexpr uint64_t kEpochMax = uint64_t{1} << 62;

// What a node has done since its first life; sums over its heartbeats.
struct NodeTotals {
  uint64_t rows_run = 0;
  uint64_t busy_us = 0;
  uint64_t steps = 0;
  uint64_t parts_sent_again = 0;
  uint64_t preemptions = 0;

  void Add(const NodeTotals& more);
};

struct Node {
  NodeHello hello;
  NodeHeartbeat heartbeat;  // the newest, without its counters
  StreamId stream = 0;
  bool alive = true;
  bool draining = false;
  bool heard = false;        // a heartbeat has come in this life
  int64_t heard_ns = 0;      // when anything came last
  int64_t silent_ns = 0;     // counted silence
  NodeTotals totals;
  std::string lost_because;  // of a lost node
};

class Registry {
 public:
  explicit Registry(RegistryOptions options) : options_(options) {}

  // INVALID_ARGUMENT: a hello that makes no sense. FAILED_PRECONDITION: another model, activation dtype or (unless mixed
  // numerics are admitted) numerics than the cluster's, or an earlier life than the one that is known.
  // RESOURCE_EXHAUSTED: kNodesMax nodes are alive. On success an earlier life of the node is over.
  absl::StatusOr<StreamId> Join(const NodeHello& hello, int64_t now_ns);

  // INVALID_ARGUMENT: of another incarnation than the hello, or negative figures. The stream's node must be alive.
  absl::Status Heartbeat(StreamId stream, const NodeHeartbeat& heartbeat, int64_t now_ns);

  void SetDraining(StreamId stream);

  // The stream is over: its node is lost, unless it has joined again meanwhile. True when the node was alive.
  bool End(StreamId stream, const std::string& reason);

  // Silence grows by the time since the last tick only when that tick was on time: a router that was stopped itself
  // accuses nobody. Returns the streams whose nodes are lost by it.
  std::vector<StreamId> Tick(int64_t now_ns);

  const std::map<std::string, Node>& nodes() const { return nodes_; }
  Node* Find(StreamId stream);  // null: not alive (any more)
  const Node* Find(const std::string& node_id) const;
  std::vector<const Node*> Alive(NodeRole role) const;  // by node id

  // False where nodes of one role, alive, differ in their numerics.
  bool exact() const;

 private:
  absl::Status CheckHello(const NodeHello& hello) const;
  absl::Status CheckSameAsCluster(const NodeHello& hello) const;
  absl::Status CheckIncarnation(const NodeHello& hello) const;
  absl::Status MakeRoom(const std::string& node_id);

  const RegistryOptions options_;
  std::map<std::string, Node> nodes_;
  std::map<StreamId, std::string> streams_;  // of alive nodes
  StreamId last_stream_ = 0;
  std::optional<int64_t> last_tick_ns_;
};

}  // namespace atoll::router
