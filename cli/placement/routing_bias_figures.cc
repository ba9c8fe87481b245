#include "cli/placement/routing_bias_figures.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"

namespace atoll::cli {

std::string RoutingBiasText(const RoutingBiasFigures& figures) {
  const double changed = figures.decisions == 0 ? 0 : 100 * static_cast<double>(figures.changed) / static_cast<double>(figures.decisions);
  return absl::StrFormat("routing bias %g: %d decisions, %.3f %% changed, score mass kept %.5f, busiest node / mean %.3f -> %.3f%s", figures.epsilon,
                         figures.decisions, changed, figures.mass_kept, figures.busiest_before, figures.busiest_after,
                         figures.off_reason.empty() ? "" : "\n" + figures.off_reason);
}

nlohmann::ordered_json RoutingBiasJson(const RoutingBiasFigures& figures) {
  return {{"epsilon", figures.epsilon}, {"off_reason", figures.off_reason}, {"decisions", figures.decisions}, {"changed", figures.changed},
          {"mass_kept", figures.mass_kept}, {"busiest_before", figures.busiest_before}, {"busiest_after", figures.busiest_after}};
}

}  // namespace atoll::cli
