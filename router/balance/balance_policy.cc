#include "router/balance/balance_policy.h"

#include <algorithm>
#include <utility>

namespace atoll::router {
namespace {

constexpr uint64_t kStepsMax = uint64_t{1} << 32;  // that one heartbeat may claim
constexpr size_t kNodesMax = 4096;

}  // namespace

void BalancePolicy::AddSteps(const std::string& attention_node, uint64_t steps) {
  if (steps == 0) return;
  if (steps_.size() >= kNodesMax && !steps_.contains(attention_node)) steps_.clear();
  int64_t& run = steps_[attention_node];
  run += static_cast<int64_t>(std::min(steps, kStepsMax));
  busiest_steps_ = std::max(busiest_steps_, run);
  stepped_ = true;
}

void BalancePolicy::Mend(int64_t at_ns) { mend_at_ns_ = std::min(mend_at_ns_.value_or(at_ns), at_ns); }

std::optional<PlanKind> BalancePolicy::Next(const BalanceMoment& moment) {
  if (Urgent(moment.now_ns)) {
    mend_at_ns_.reset();
    return moment.placed ? PlanKind::kMend : PlanKind::kFirst;
  }
  if (!moment.placed || moment.migrating || mend_at_ns_) return std::nullopt;
  if (asked_) return std::exchange(asked_, std::nullopt);
  if (options_.enable && !frozen_ && busiest_steps_ >= options_.step_interval) {
    steps_.clear();
    busiest_steps_ = 0;
    return PlanKind::kDrift;
  }
  if (!stepped_ || moment.now_ns < shares_at_ns_) return std::nullopt;
  stepped_ = false;
  shares_at_ns_ = moment.now_ns + kSharesEveryNs;
  return PlanKind::kShares;
}

}  // namespace atoll::router
