#pragma once

// What the balancer says of itself. Plain values.

#include <cstdint>
#include <string>

#include "base/status.h"

namespace atoll::router {

struct BalancerReport {
  struct LastPlan {
    std::string kind;
    std::string failure;  // empty: it was made
    double balance_mean = 1, balance_worst = 1;
    int64_t loads = 0, frees = 0, bytes = 0;
    int64_t uncovered_by_one_loss = 0;
    int64_t lost_at_planning = 0;  // experts without a live replica
  };

  bool enabled = true;
  bool frozen = false;
  uint64_t placement_epoch = 0;
  std::string activity;  // "idle", or what goes on
  int64_t age_ms = 0;    // since it made progress
  bool stuck = false;
  int64_t steps_left = 0;  // loads and frees of later rounds
  uint64_t rounds = 0, replicas_loaded = 0, bytes_loaded = 0;  // ever
  int64_t lost_experts = 0;
  int64_t steps_since_plan = 0;  // of the busiest attention node
  LastPlan last_plan;
  bool proposal = false;  // a plan waits for being applied
  bool proposal_pending = false;
  LastPlan proposed;
};

}  // namespace atoll::router
