#pragma once

// What a node and the router tell each other, as plain structs (proto/atoll/v1/cluster.proto has the wire form and
// the meaning of every field).

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/placement.h"

namespace atoll::node {

enum class Role { kAttention, kExpert };

struct LayerExperts {
  int32_t layer = 0;
  std::vector<int32_t> experts;
};

struct AttentionCapacity {
  int32_t max_num_seqs = 0;
  int32_t max_num_batched_tokens = 0;
  int32_t max_model_len = 0;
  int64_t pages = 0;
  int32_t max_queued = 0;
};

// What a process is, unchanged for its whole life.
struct NodeIdentity {
  Role role = Role::kExpert;
  std::string node_id;
  uint64_t incarnation = 0;
  std::string control_address;
  std::string backend;
  double speed = 1;
  uint64_t memory_bytes = 0;
  uint64_t model_fingerprint = 0;
  uint64_t numerics_fingerprint = 0;
  std::string activation_dtype;
};

// What it holds at the moment when it joins.
struct NodeState {
  uint64_t loaded_epoch = 0;
  std::vector<LayerExperts> loaded;
  std::optional<AttentionCapacity> capacity;
};

// Rows routed to each expert of a layer, by position class.
struct LayerCounts {
  int32_t layer = 0;
  std::vector<uint32_t> prompt;
  std::vector<uint32_t> generated;
};

// What the bias on selection scores did since the last heartbeat.
struct RoutingBiasCounts {
  uint64_t decisions = 0;
  uint64_t changed = 0;
  double score_mass = 0, score_mass_kept = 0;
  uint64_t batches = 0;
  double busiest_before = 0, busiest_after = 0;
  bool switched_off = false;
};

// Counters are since the last heartbeat.
struct Heartbeat {
  uint64_t epoch_ready = 0, epoch_oldest_in_flight = 0;
  int32_t running = 0, waiting = 0;
  int64_t pages_free = 0;
  uint64_t loaded_bytes = 0, to_load_bytes = 0;
  std::vector<LayerCounts> expert_counts;
  uint64_t rows_run = 0;
  std::map<std::string, std::string> lost_peers;
  uint64_t steps = 0, layers_run = 0;  // attention node
  uint64_t busy_us = 0;           // expert node
  uint64_t parts_sent_again = 0, preemptions = 0;  // attention node
  RoutingBiasCounts routing_bias;  // attention node
};

struct Accepted {
  int32_t heartbeat_ms = 50;
  int32_t peer_silence_ms = 500;
};

// Hold exactly these replicas.
struct Assignment {
  uint64_t epoch = 0;
  std::vector<model::ExpertId> experts;
};

// Of an address HOST:PORT.
inline std::string_view HostPart(std::string_view address) { return address.substr(0, address.rfind(':')); }

struct ExpertPeer {
  std::string node_id;
  uint64_t incarnation = 0;
  std::string control_address;
  double speed = 1;
  bool alive = false;
};

// Whom an attention node may send to: expert_nodes[i] is node index i of the placement.
struct ClusterView {
  std::vector<ExpertPeer> expert_nodes;
  model::Placement placement;
  int32_t attention_nodes = 1;  // at least 1
  // [layers] of the placement; each empty (unknown) or [expert nodes], 0 or more.
  std::vector<std::vector<float>> expected_share;
  float routing_bias_epsilon = 0;  // 0: off
  float routing_bias_changed_max = 0;  // fraction of decisions
  // [layers] of the placement; each empty (none) or [experts], within the epsilon.
  std::vector<std::vector<float>> routing_bias;
};

}  // namespace atoll::node
