#include "cli/placement/balancer_text.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/placement/table.h"

namespace atoll::cli {
namespace {

nlohmann::ordered_json PlanJson(const PlanFigures& plan) {
  return {{"kind", plan.kind}, {"failure", plan.failure}, {"balance_mean", plan.balance_mean}, {"balance_worst", plan.balance_worst},
          {"loads", plan.loads}, {"frees", plan.frees}, {"bytes", plan.bytes}, {"uncovered_by_one_loss", plan.uncovered_by_one_loss}};
}

}  // namespace

std::string PlanText(const PlanFigures& plan) {
  if (!plan.failure.empty()) return absl::StrCat(plan.kind, ": ", plan.failure);
  return absl::StrFormat("%s: %d replicas to load (%s), %d to free; balance %.4f, worst layer %.4f; the loss of one node would leave %d experts "
                         "without a replica",
                         plan.kind, plan.loads, Megabytes(static_cast<uint64_t>(plan.bytes)), plan.frees, plan.balance_mean, plan.balance_worst,
                         plan.uncovered_by_one_loss);
}

std::string BalancerText(const Balancer& balancer) {
  std::string text = absl::StrCat("placement epoch ", balancer.placement_epoch, "  ", balancer.activity);
  if (balancer.age_ms > 0) absl::StrAppend(&text, " for ", balancer.age_ms, " ms, ", balancer.steps_left, " steps left");
  if (balancer.stuck) absl::StrAppend(&text, "  STUCK");
  if (balancer.frozen) absl::StrAppend(&text, "  FROZEN");
  if (!balancer.enabled) absl::StrAppend(&text, "  schedule off");
  if (balancer.lost_experts > 0) absl::StrAppend(&text, "  ", balancer.lost_experts, " EXPERTS LOST");
  if (!balancer.last_plan.kind.empty()) absl::StrAppend(&text, "\nlast plan: ", PlanText(balancer.last_plan));
  return text;
}

nlohmann::ordered_json BalancerJson(const Balancer& b) {
  nlohmann::ordered_json out{{"placement_epoch", b.placement_epoch}, {"activity", b.activity}, {"age_ms", b.age_ms}, {"stuck", b.stuck},
                             {"frozen", b.frozen}, {"enabled", b.enabled}, {"steps_left", b.steps_left}, {"rounds", b.rounds},
                             {"replicas_loaded", b.replicas_loaded}, {"lost_experts", b.lost_experts},
                             {"steps_since_plan", b.steps_since_plan}, {"last_plan", PlanJson(b.last_plan)}};
  if (b.proposed) out["proposed"] = PlanJson(*b.proposed);
  return out;
}

}  // namespace atoll::cli
