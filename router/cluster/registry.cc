#include "router/cluster/registry.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/error_info.h"

namespace atoll::router {
namespace {

constexpr size_t kNodeIdBytesMax = 128;
constexpr size_t kTextBytesMax = 256;
constexpr double kSpeedMax = 1e6;

absl::Status Refused(const std::string& reason, const std::string& sentence) {
  return WithErrorInfo(absl::FailedPreconditionError(sentence), {.reason = reason, .metadata = {}, .retry_after_ms = {}});
}

bool IsNodeId(const std::string& id) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-'; };
  return !id.empty() && id.size() <= kNodeIdBytesMax && std::all_of(id.begin(), id.end(), allowed);
}

bool IsAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  return colon != std::string::npos && colon > 0 && colon + 1 < address.size() && address.size() <= kTextBytesMax;
}

bool IsCapacity(const AttentionCapacity& capacity) {
  return capacity.max_num_seqs > 0 && capacity.max_model_len > 0 && capacity.max_queued >= 0 && capacity.pages >= 0 &&
         capacity.max_num_batched_tokens > 0;
}

}  // namespace

const char* NodeRoleName(NodeRole role) { return role == NodeRole::kAttention ? "attention" : "expert"; }

const char* NodeStateName(NodeState state) {
  switch (state) {
    case NodeState::kJoining: return "joining";
    case NodeState::kLoading: return "loading";
    case NodeState::kReady: return "ready";
    case NodeState::kDraining: return "draining";
    case NodeState::kLost: return "lost";
  }
  return "unknown";
}

absl::Status Registry::CheckHello(const NodeHello& hello) const {
  if (!IsNodeId(hello.node_id)) {
    return absl::InvalidArgumentError(absl::StrCat("node_id must be 1 to ", kNodeIdBytesMax, " characters of [A-Za-z0-9._-]"));
  }
  if (!IsAddress(hello.control_address)) {
    return absl::InvalidArgumentError(absl::StrCat("node ", hello.node_id, ": control_address must be HOST:PORT"));
  }
  if (hello.incarnation == 0) return absl::InvalidArgumentError(absl::StrCat("node ", hello.node_id, ": incarnation must not be 0"));
  if (!(hello.speed > 0 && hello.speed <= kSpeedMax)) {
    return absl::InvalidArgumentError(absl::StrCat("node ", hello.node_id, ": speed must be in (0, ", kSpeedMax, "], found ", hello.speed));
  }
  if (hello.loaded_epoch > kEpochMax) {
    return absl::InvalidArgumentError(absl::StrCat("node ", hello.node_id, ": loaded_epoch ", hello.loaded_epoch, " was never given out"));
  }
  if (hello.backend.size() > kTextBytesMax || hello.version.size() > kTextBytesMax || hello.activation_dtype.size() > kTextBytesMax ||
      hello.host.size() > kTextBytesMax || hello.zone.size() > kTextBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("node ", hello.node_id, ": a text of its hello has more than ", kTextBytesMax, " bytes"));
  }
  if (hello.role == NodeRole::kAttention && !IsCapacity(hello.capacity)) {
    return absl::InvalidArgumentError(absl::StrCat("attention node ", hello.node_id, ": capacity must be positive in every field"));
  }
  return absl::OkStatus();
}

absl::Status Registry::CheckSameAsCluster(const NodeHello& hello) const {
  if (hello.model_fingerprint != options_.model_fingerprint) {
    return Refused("MODEL_MISMATCH", absl::StrFormat("node %s has another model: fingerprint %016x, this router's is %016x; start "
                                                     "it with the same checkpoint",
                                                     hello.node_id, hello.model_fingerprint, options_.model_fingerprint));
  }
  for (const auto& [id, node] : nodes_) {
    if (!node.alive || id == hello.node_id) continue;
    if (node.hello.activation_dtype != hello.activation_dtype) {
      return Refused("DTYPE_MISMATCH", absl::StrCat("node ", hello.node_id, " has activation dtype ", hello.activation_dtype,
                                                    ", the cluster has ", node.hello.activation_dtype, " (node ", id,
                                                    "); start all nodes with one --activation-dtype"));
    }
    if (options_.mixed_numerics || node.hello.role != hello.role) continue;
    if (node.hello.numerics_fingerprint != hello.numerics_fingerprint) {
      return Refused("NUMERICS_MISMATCH",
                     absl::StrFormat("%s node %s (%s) computes other bits than node %s (%s): numerics %016x and %016x; tokens would "
                                     "depend on the node, start the router with --mixed-numerics to admit that",
                                     NodeRoleName(hello.role), hello.node_id, hello.backend, id, node.hello.backend,
                                     hello.numerics_fingerprint, node.hello.numerics_fingerprint));
    }
  }
  return absl::OkStatus();
}

void NodeTotals::Add(const NodeTotals& more) {
  rows_run += more.rows_run;
  busy_us += more.busy_us;
  steps += more.steps;
  parts_sent_again += more.parts_sent_again;
  preemptions += more.preemptions;
}

absl::Status Registry::CheckIncarnation(const NodeHello& hello) const {
  const Node* known = Find(hello.node_id);
  if (known == nullptr || hello.incarnation >= known->hello.incarnation) return absl::OkStatus();
  return Refused("STALE_INCARNATION", absl::StrCat("node ", hello.node_id, " joins with incarnation ", hello.incarnation,
                                                   ", a later one (", known->hello.incarnation, ") is known; give each node its own --node-id"));
}

absl::Status Registry::MakeRoom(const std::string& node_id) {
  if (nodes_.contains(node_id) || nodes_.size() < kNodesMax) return absl::OkStatus();
  const auto lost = std::find_if(nodes_.begin(), nodes_.end(), [](const auto& entry) { return !entry.second.alive; });
  if (lost == nodes_.end()) {
    return absl::ResourceExhaustedError(absl::StrCat("the cluster has ", kNodesMax, " nodes, no more are admitted"));
  }
  nodes_.erase(lost);
  return absl::OkStatus();
}

absl::StatusOr<StreamId> Registry::Join(const NodeHello& hello, int64_t now_ns) {
  ATOLL_RETURN_IF_ERROR(CheckHello(hello));
  ATOLL_RETURN_IF_ERROR(CheckIncarnation(hello));
  ATOLL_RETURN_IF_ERROR(CheckSameAsCluster(hello));
  ATOLL_RETURN_IF_ERROR(MakeRoom(hello.node_id));
  Node& node = nodes_[hello.node_id];
  streams_.erase(node.stream);
  const NodeTotals totals = node.totals;
  node = Node{};
  node.hello = hello;
  node.stream = ++last_stream_;
  node.heard_ns = now_ns;
  node.totals = totals;
  streams_[node.stream] = hello.node_id;
  return node.stream;
}

absl::Status Registry::Heartbeat(StreamId stream, const NodeHeartbeat& heartbeat, int64_t now_ns) {
  Node* node = Find(stream);
  if (node == nullptr) return absl::FailedPreconditionError("this stream's node has joined again or was found lost; join again");
  if (heartbeat.incarnation != node->hello.incarnation) {
    return absl::InvalidArgumentError(absl::StrCat("node ", node->hello.node_id, ": heartbeat of incarnation ", heartbeat.incarnation,
                                                   " on the stream of ", node->hello.incarnation));
  }
  if (heartbeat.running < 0 || heartbeat.waiting < 0 || heartbeat.pages_free < 0 || heartbeat.epoch_ready > kEpochMax) {
    return absl::InvalidArgumentError(absl::StrCat("node ", node->hello.node_id, ": heartbeat with a negative figure or an epoch never given out"));
  }
  node->heartbeat = heartbeat;
  node->heartbeat.expert_counts.clear();
  node->totals.Add({.rows_run = heartbeat.rows_run, .busy_us = heartbeat.busy_us, .steps = heartbeat.steps,
                    .parts_sent_again = heartbeat.parts_sent_again, .preemptions = heartbeat.preemptions});
  node->heard = true;
  node->heard_ns = now_ns;
  node->silent_ns = 0;
  return absl::OkStatus();
}

void Registry::SetDraining(StreamId stream) {
  if (Node* node = Find(stream)) node->draining = true;
}

bool Registry::End(StreamId stream, const std::string& reason) {
  Node* node = Find(stream);
  if (node == nullptr) return false;
  node->alive = false;
  node->lost_because = reason;
  streams_.erase(stream);
  return true;
}

std::vector<StreamId> Registry::Tick(int64_t now_ns) {
  const int64_t elapsed_ns = last_tick_ns_ ? now_ns - *last_tick_ns_ : 0;
  last_tick_ns_ = now_ns;
  if (elapsed_ns > 2 * options_.tick_ms * 1000000) return {};  // our own tick was late
  std::vector<StreamId> silent;
  for (auto& [id, node] : nodes_) {
    if (!node.alive) continue;
    node.silent_ns += std::min(elapsed_ns, now_ns - node.heard_ns);
    if (node.silent_ns >= options_.peer_silence_ms * 1000000) silent.push_back(node.stream);
  }
  for (const StreamId stream : silent) End(stream, absl::StrCat("silent for ", options_.peer_silence_ms, " ms"));
  return silent;
}

Node* Registry::Find(StreamId stream) {
  const auto found = streams_.find(stream);
  return found == streams_.end() ? nullptr : &nodes_.at(found->second);
}

const Node* Registry::Find(const std::string& node_id) const {
  const auto found = nodes_.find(node_id);
  return found == nodes_.end() ? nullptr : &found->second;
}

std::vector<const Node*> Registry::Alive(NodeRole role) const {
  std::vector<const Node*> alive;
  for (const auto& [id, node] : nodes_) {
    if (node.alive && node.hello.role == role) alive.push_back(&node);
  }
  return alive;
}

bool Registry::exact() const {
  for (const NodeRole role : {NodeRole::kAttention, NodeRole::kExpert}) {
    const std::vector<const Node*> alive = Alive(role);
    for (const Node* node : alive) {
      if (node->hello.numerics_fingerprint != alive.front()->hello.numerics_fingerprint) return false;
    }
  }
  return true;
}

}  // namespace atoll::router
