#include "router/page/change_log.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace atoll::router::page {
namespace {

std::string PlanText(const BalancerReport::LastPlan& plan) {
  return absl::StrFormat("%s: %d replicas to load (%.1f MB), %d to free, balance %.3f", plan.kind, plan.loads, 1e-6 * static_cast<double>(plan.bytes),
                         plan.frees, plan.balance_mean);
}

}  // namespace

void ChangeLog::Note(std::string kind, std::string text, bool bad) {
  changes_.push_back({.number = ++newest_, .unix_ms = now_unix_ms_, .kind = std::move(kind), .text = std::move(text), .bad = bad});
  if (changes_.size() > kKept) changes_.pop_front();
}

void ChangeLog::CompareNode(const NodeReport& node, const NodeSeen& before) {
  const std::string& id = node.node.hello.node_id;
  const bool new_life = node.node.hello.incarnation != before.incarnation;
  if (new_life) Note("node", absl::StrCat(id, " has joined again (", NodeStateName(node.state), ")"));
  if (node.state == before.state || new_life) return;
  const bool lost = node.state == NodeState::kLost;
  const std::string why = lost && !node.node.lost_because.empty() ? absl::StrCat(": ", node.node.lost_because) : "";
  Note("node", absl::StrCat(id, " is ", NodeStateName(node.state), why), lost);
}

void ChangeLog::CompareNodes(const ClusterReport& report) {
  std::map<std::string, NodeSeen> now;
  for (const NodeReport& node : report.nodes) {
    const std::string& id = node.node.hello.node_id;
    const auto before = seen_.nodes.find(id);
    if (before != seen_.nodes.end()) {
      CompareNode(node, before->second);
    } else {
      Note("node", absl::StrCat(NodeRoleName(node.node.hello.role), " node ", id, " has joined (", NodeStateName(node.state), ")"));
    }
    now[id] = {node.state, node.node.hello.incarnation};
  }
  for (const auto& [id, node] : seen_.nodes) {
    if (!now.contains(id)) Note("node", absl::StrCat(id, " is forgotten"));
  }
  seen_.nodes = std::move(now);
}

void ChangeLog::ComparePlacement(const BalancerReport& now) {
  const BalancerReport& before = seen_.balancer;
  if (now.placement_epoch != before.placement_epoch) Note("placement", absl::StrCat("epoch ", now.placement_epoch, ", ", PlanText(now.last_plan)));
  if (now.last_plan.failure != before.last_plan.failure && !now.last_plan.failure.empty()) {
    Note("placement", absl::StrCat("no plan could be made: ", now.last_plan.failure), true);
  }
  if (now.rounds != before.rounds) {
    Note("migration", absl::StrCat("round ", now.rounds, ": ", now.replicas_loaded - before.replicas_loaded, " replicas are loaded, ", now.steps_left,
                                   " steps are left"));
  }
  if (now.activity != before.activity && now.activity == "idle") Note("migration", absl::StrCat("the placement of epoch ", now.placement_epoch, " is in place"));
  if (now.frozen != before.frozen) Note("balancer", now.frozen ? "frozen: coverage is kept, nothing else moves" : "no longer frozen");
  if (now.stuck && !before.stuck) Note("balancer", absl::StrCat("stuck: ", now.activity, " for ", now.age_ms, " ms"), true);
  if (now.lost_experts != before.lost_experts) {
    Note("placement", now.lost_experts > 0 ? absl::StrCat(now.lost_experts, " experts have no live host") : "every expert has a live host", now.lost_experts > 0);
  }
  seen_.balancer = now;
}

void ChangeLog::Look(const ClusterReport& report, int64_t unix_ms) {
  now_unix_ms_ = unix_ms;
  if (!std::exchange(looked_, true)) {
    seen_.ready = report.ready;
    seen_.balancer = report.balancer;
    for (const NodeReport& node : report.nodes) seen_.nodes[node.node.hello.node_id] = {node.state, node.node.hello.incarnation};
    return;
  }
  CompareNodes(report);
  ComparePlacement(report.balancer);
  if (std::exchange(seen_.ready, report.ready) == report.ready) return;
  Note("ready", report.ready ? "the cluster is ready" : absl::StrCat("not ready: ", report.not_ready_reason), !report.ready);
}

}  // namespace atoll::router::page
