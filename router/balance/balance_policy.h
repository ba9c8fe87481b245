#pragma once

// When to plan what. Plain code with time passed in; thread-compatible.

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "router/balance/plan_job.h"

namespace atoll::router {

struct BalanceOptions {
  bool enable = true;            // the schedule; coverage is repaired anyway
  int64_t window_size = 1000;    // steps of the load history
  int64_t step_interval = 3000;  // steps of the busiest attention node between two plans
  double threshold = 0.98;       // balance (mean / highest level) at which a scheduled plan does nothing
  int64_t max_bytes = int64_t{2} << 30;  // that a scheduled plan loads
  int64_t min_replicas = 2;      // where memory allows
  double replica_bias_gamma = 0.01;
};

// What the policy has to know of the moment.
struct BalanceMoment {
  int64_t now_ns = 0;
  bool placed = false;
  bool migrating = false;
};

class BalancePolicy {
 public:
  static constexpr int64_t kSharesEveryNs = 10'000'000'000;

  explicit BalancePolicy(BalanceOptions options) : options_(options) {}

  void AddSteps(const std::string& attention_node, uint64_t steps);
  // A node joined, was lost, drains: what is planned or going on is out of date. Not before `at_ns`.
  void Mend(int64_t at_ns);
  // An operator wants a plan to look at.
  void Ask(PlanKind kind) { asked_ = kind; }
  void Freeze(bool frozen) { frozen_ = frozen; }
  bool frozen() const { return frozen_; }

  // What to plan now, if nothing is being planned; it counts as done.
  std::optional<PlanKind> Next(const BalanceMoment& moment);
  // There is something that cannot wait for a plan that goes on.
  bool Urgent(int64_t now_ns) const { return mend_at_ns_.has_value() && *mend_at_ns_ <= now_ns; }
  // The plan that Next gave came to nothing (it was out of date): again.
  bool asked() const { return asked_.has_value(); }
  int64_t steps_since_plan() const { return busiest_steps_; }

 private:
  const BalanceOptions options_;
  bool frozen_ = false;
  std::optional<int64_t> mend_at_ns_;
  std::optional<PlanKind> asked_;
  std::map<std::string, int64_t> steps_;  // by attention node, since the last scheduled plan
  int64_t busiest_steps_ = 0;
  bool stepped_ = false;  // since the last shares
  int64_t shares_at_ns_ = 0;
};

}  // namespace atoll::router
