#pragma once

// What nodes tell the router and what it tells them, as plain structs (proto/atoll/v1/cluster.proto has every field's
// meaning).

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/placement.h"
#include "router/balance/routing_bias/routing_bias.h"

namespace atoll::router {

enum class NodeRole { kAttention, kExpert };
const char* NodeRoleName(NodeRole role);

struct AttentionCapacity {
  int32_t max_num_seqs = 0;
  int32_t max_num_batched_tokens = 0;
  int32_t max_model_len = 0;
  int64_t pages = 0;
  int32_t max_queued = 0;
};

struct NodeHello {
  NodeRole role = NodeRole::kExpert;
  std::string node_id;
  uint64_t incarnation = 0;
  std::string control_address;
  std::string backend;
  double speed = 1;
  uint64_t memory_bytes = 0;
  uint64_t model_fingerprint = 0;
  uint64_t numerics_fingerprint = 0;
  std::string activation_dtype;
  std::string version;
  uint64_t loaded_epoch = 0;
  std::vector<model::ExpertId> loaded;  // of an expert node
  std::string host, zone;               // failure domain; may be empty
  AttentionCapacity capacity;           // of an attention node
};

struct LayerCounts {
  int32_t layer = 0;
  std::vector<uint64_t> prompt;     // [experts]
  std::vector<uint64_t> generated;  // [experts]
};

struct NodeHeartbeat {
  uint64_t incarnation = 0;
  uint64_t epoch_ready = 0;
  uint64_t epoch_oldest_in_flight = 0;
  int32_t running = 0;
  int32_t waiting = 0;
  int64_t pages_free = 0;
  uint64_t loaded_bytes = 0;
  uint64_t to_load_bytes = 0;
  uint64_t rows_run = 0;
  std::map<std::string, std::string> lost_peers;
  std::vector<LayerCounts> expert_counts;
  uint64_t steps = 0;
  uint64_t layers_run = 0;
  uint64_t busy_us = 0;
  uint64_t parts_sent_again = 0;
  uint64_t preemptions = 0;
  RoutingBiasTotals routing_bias;  // since the last heartbeat
};

struct ExpertPeer {
  std::string node_id;
  uint64_t incarnation = 0;
  std::string control_address;
  double speed = 1;
  bool alive = false;

  friend bool operator==(const ExpertPeer&, const ExpertPeer&) = default;
};

// Whom attention nodes may send to. Immutable once published; its epoch is its own, not the placement's.
struct ClusterView {
  uint64_t epoch = 0;
  std::vector<ExpertPeer> expert_nodes;                // index: node index of the placement
  std::shared_ptr<const model::Placement> placement;  // shared by all views of one placement
  int32_t attention_nodes = 1;
  std::vector<std::vector<float>> expected_share;  // [layers]; each empty or [expert nodes]
  float routing_bias_epsilon = 0;
  float routing_bias_changed_max = 0;
  std::vector<std::vector<float>> routing_bias;  // [layers]; each empty or [experts]
};

}  // namespace atoll::router
