#pragma once

// What the routing bias did, as the router sums it up, in words and as JSON.

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>

namespace atoll::v1 {
class RoutingBiasStatus;
}

namespace atoll::cli {

struct RoutingBiasFigures {
  bool asked = false;      // for one; otherwise nothing below is set
  double epsilon = 0;      // that is served with; 0 once it was switched off
  std::string off_reason;  // empty: it was not
  uint64_t decisions = 0, changed = 0;
  double mass_kept = 1;    // of the scores of the experts that the unbiased gate chooses
  double busiest_before = 1, busiest_after = 1;  // node / mean, over batches
};

RoutingBiasFigures ToRoutingBiasFigures(const v1::RoutingBiasStatus& from);
// One line.
std::string RoutingBiasText(const RoutingBiasFigures& figures);
nlohmann::ordered_json RoutingBiasJson(const RoutingBiasFigures& figures);

}  // namespace atoll::cli
