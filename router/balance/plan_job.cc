#include "router/balance/plan_job.h"

#include <algorithm>
#include <utility>

namespace atoll::router {
namespace {

// Speeds of the placement's nodes, which are all among the job's.
std::vector<double> SpeedsOf(const PlanJob& job, const model::Placement& placement) {
  std::vector<double> speeds;
  for (const std::string& id : placement.node_ids) {
    const auto node = std::find_if(job.nodes.begin(), job.nodes.end(), [&](const ClusterNode& n) { return n.node_id == id; });
    speeds.push_back(node == job.nodes.end() ? 1 : node->speed);
  }
  return speeds;
}

// The present placement with the shares that the loads ask for. Every expert has a replica in it.
ClusterPlan SharesOnly(const PlanJob& job) {
  ClusterPlan plan;
  plan.placement = job.present;
  const std::vector<double> speeds = SpeedsOf(job, plan.placement);
  SplitExactly(job.loads, speeds, plan.placement);
  plan.balance_mean = BalanceOf(plan.placement, job.loads, speeds);
  return plan;
}

bool Covers(const model::Placement& placement) {
  for (size_t i = 0; i < placement.replicas.size(); ++i)
    if (placement.layer_has_experts[i / placement.experts] && placement.replicas[i].empty()) return false;
  return true;
}

}  // namespace

const char* PlanKindName(PlanKind kind) {
  switch (kind) {
    case PlanKind::kFirst: return "first placement";
    case PlanKind::kMend: return "mending";
    case PlanKind::kDrift: return "drift";
    case PlanKind::kFull: return "full plan";
    case PlanKind::kShares: return "shares";
  }
  return "unknown";
}

PlanResult RunPlanJob(PlanJob job, std::function<bool()> stop) {
  PlanResult result{.id = job.id, .kind = job.kind};
  job.options.stop = std::move(stop);
  const bool holds_some = std::any_of(job.present.replicas.begin(), job.present.replicas.end(), [](const auto& r) { return !r.empty(); });
  const bool covered = Covers(job.present);
  if ((job.kind == PlanKind::kDrift || job.kind == PlanKind::kShares) && covered) {
    ClusterPlan present = SharesOnly(job);
    if (job.kind == PlanKind::kShares || present.balance_mean >= job.threshold) {
      result.kind = PlanKind::kShares;
      result.plan = std::move(present);
      return result;
    }
  }
  if (job.kind == PlanKind::kShares) job.kind = result.kind = PlanKind::kMend;
  job.options.full = job.kind == PlanKind::kFull;
  if (job.kind != PlanKind::kDrift) job.options.max_bytes = 0;
  const bool from_scratch = job.kind == PlanKind::kFull || (job.kind == PlanKind::kFirst && !holds_some);
  result.plan = from_scratch ? PlanCluster(job.present, job.nodes, job.loads, job.options) : MendCluster(job.present, job.nodes, job.loads, job.options);
  return result;
}

}  // namespace atoll::router
