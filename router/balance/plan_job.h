#pragma once

// One piece of planning, whole in itself, so that it can run on any thread. Pure.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "router/balance/shares.h"
#include "router/placement/cluster/cluster_plan.h"

namespace atoll::router {

enum class PlanKind {
  kFirst,   // nothing is placed yet
  kMend,    // a node joined, was lost or drains
  kDrift,   // the schedule: mend what drifted, within a budget of bytes, unless the balance is good enough
  kFull,    // an operator's: from scratch, by search
  kShares,  // no replica moves
};
const char* PlanKindName(PlanKind kind);

struct PlanJob {
  uint64_t id = 0;  // 0: none
  PlanKind kind = PlanKind::kFirst;
  model::Placement present;  // what the nodes that are alive hold or are loading
  std::vector<ClusterNode> nodes;
  ClusterLoads loads;
  ClusterPlanOptions options;
  double threshold = 1;  // kDrift: balance at which nothing is done
};

struct PlanResult {
  uint64_t id = 0;
  // As the job's, but kShares where drift is no reason to move anything, and kMend where shares are asked of a placement
  // that has lost experts.
  PlanKind kind = PlanKind::kFirst;
  absl::StatusOr<ClusterPlan> plan = absl::UnknownError("");
};

// stop: asked now and then; true ends the search with what it has.
PlanResult RunPlanJob(PlanJob job, std::function<bool()> stop);

}  // namespace atoll::router
