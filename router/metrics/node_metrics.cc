// The nodes in /metrics: a series per node and figure, bounded.

#include <algorithm>
#include <map>

#include "router/metrics/metrics_text.h"

namespace atoll::router {
namespace {

using metrics::Exposition;
using metrics::Type;

// What is shown of one node, or of all those beyond kNodeSeriesMax together.
struct Row {
  bool alive = false;
  int64_t running = 0, waiting = 0, pages = 0, pages_free = 0, experts = 0;
  uint64_t loaded_bytes = 0;
  double heartbeat_age_s = 0;  // the oldest
  NodeTotals totals;
};

void Add(const NodeReport& report, int64_t now_ns, Row& row) {
  const Node& node = report.node;
  row.totals.Add(node.totals);
  if (!node.alive) return;
  row.alive = true;
  row.running += node.heartbeat.running;
  row.waiting += node.heartbeat.waiting;
  row.pages += node.hello.capacity.pages;
  row.pages_free += node.heartbeat.pages_free;
  row.experts += report.experts;
  row.loaded_bytes += node.heartbeat.loaded_bytes;
  row.heartbeat_age_s = std::max(row.heartbeat_age_s, 1e-9 * static_cast<double>(now_ns - node.heard_ns));
}

using Rows = std::map<std::string, Row>;  // by node id

Rows RowsOf(const ClusterReport& cluster, NodeRole role) {
  Rows rows;
  for (const NodeReport& report : cluster.nodes) {
    const NodeHello& hello = report.node.hello;
    if (hello.role != role) continue;
    const bool has_room = rows.size() < kNodeSeriesMax;
    Add(report, cluster.now_ns, rows[has_room ? hello.node_id : "other"]);
  }
  return rows;
}

// One family with a sample per node; of those alone that are alive, where it says so.
struct Family {
  Type type;
  const char* name;
  const char* help;
  bool alive_only;
};

template <typename Read>
void Append(const Family& family, const Rows& rows, Read read, Exposition& out) {
  out.Begin(family.type, family.name, family.help);
  for (const auto& [id, row] : rows) {
    if (row.alive || !family.alive_only) out.Sample({{"node", id}}, read(row));
  }
}

void AppendAttention(const Rows& rows, Exposition& out) {
  const auto gauge = [&](const char* name, const char* help, auto read) { Append({Type::kGauge, name, help, true}, rows, read, out); };
  const auto counter = [&](const char* name, const char* help, auto read) { Append({Type::kCounter, name, help, false}, rows, read, out); };
  gauge("atoll_sequences_running", "Sequences that hold cache pages.", [](const Row& r) { return r.running; });
  gauge("atoll_sequences_waiting", "Sequences that wait for a place in a step.", [](const Row& r) { return r.waiting; });
  gauge("atoll_kv_pages", "Pages of the latent cache.", [](const Row& r) { return r.pages; });
  gauge("atoll_kv_pages_used", "Of them, in use.", [](const Row& r) { return r.pages - r.pages_free; });
  gauge("atoll_kv_cache_usage_ratio", "Pages in use / pages.",
        [](const Row& r) { return r.pages > 0 ? static_cast<double>(r.pages - r.pages_free) / static_cast<double>(r.pages) : 0.0; });
  counter("atoll_attention_steps_total", "Steps run.", [](const Row& r) { return r.totals.steps; });
  counter("atoll_preemptions_total", "Sequences that gave their pages back and waited again.", [](const Row& r) { return r.totals.preemptions; });
  counter("atoll_parts_sent_again_total", "Parts of a dispatch whose rows went to another replica after a refusal or a loss.",
          [](const Row& r) { return r.totals.parts_sent_again; });
}

void AppendExpert(const Rows& rows, Exposition& out) {
  const auto gauge = [&](const char* name, const char* help, auto read) { Append({Type::kGauge, name, help, true}, rows, read, out); };
  const auto counter = [&](const char* name, const char* help, auto read) { Append({Type::kCounter, name, help, false}, rows, read, out); };
  gauge("atoll_expert_node_replicas", "Replicas that the node was told to hold.", [](const Row& r) { return r.experts; });
  gauge("atoll_expert_node_loaded_bytes", "Their weights in memory.", [](const Row& r) { return r.loaded_bytes; });
  counter("atoll_expert_tokens_total", "(row, expert) pairs that the node has run.", [](const Row& r) { return r.totals.rows_run; });
  counter("atoll_expert_step_seconds_total", "Time that the node has spent computing them.",
          [](const Row& r) { return 1e-6 * static_cast<double>(r.totals.busy_us); });
}

void AppendStates(const ClusterReport& cluster, Exposition& out) {
  std::map<std::pair<NodeRole, NodeState>, int64_t> counts;
  for (const NodeReport& report : cluster.nodes) ++counts[{report.node.hello.role, report.state}];
  out.Begin(Type::kGauge, "atoll_nodes", "Nodes that are known, by role and state.");
  for (const NodeRole role : {NodeRole::kAttention, NodeRole::kExpert}) {
    for (const NodeState state : {NodeState::kJoining, NodeState::kLoading, NodeState::kReady, NodeState::kDraining, NodeState::kLost}) {
      out.Sample({{"role", NodeRoleName(role)}, {"state", NodeStateName(state)}}, counts[{role, state}]);
    }
  }
}

void AppendHeartbeats(const Rows& attention, const Rows& expert, Exposition& out) {
  out.Begin(Type::kGauge, "atoll_node_heartbeat_age_seconds", "Time since the node was heard last.");
  for (const auto& [role, rows] : {std::pair{NodeRole::kAttention, &attention}, std::pair{NodeRole::kExpert, &expert}}) {
    for (const auto& [id, row] : *rows) {
      if (row.alive) out.Sample({{"node", id}, {"role", NodeRoleName(role)}}, row.heartbeat_age_s);
    }
  }
}

}  // namespace

AttentionSums SumsOf(const ClusterReport& cluster) {
  AttentionSums sums;
  for (const NodeReport& report : cluster.nodes) {
    const Node& node = report.node;
    sums.preemptions += node.totals.preemptions;
    if (!node.alive || node.hello.role != NodeRole::kAttention) continue;
    sums.running += node.heartbeat.running;
    sums.waiting += node.heartbeat.waiting;
    sums.pages += node.hello.capacity.pages;
    sums.pages_free += node.heartbeat.pages_free;
  }
  return sums;
}

void AppendNodeMetrics(const MetricsInput& input, Exposition& out) {
  const Rows attention = RowsOf(input.cluster, NodeRole::kAttention);
  const Rows expert = RowsOf(input.cluster, NodeRole::kExpert);
  AppendStates(input.cluster, out);
  AppendHeartbeats(attention, expert, out);
  AppendAttention(attention, out);
  AppendExpert(expert, out);
}

}  // namespace atoll::router
