#pragma once

// The balancer's status in words and as JSON, for `atoll status` and `atoll placement`.

#include <nlohmann/json_fwd.hpp>

#include <string>

#include "cli/placement/placement_client.h"

namespace atoll::cli {

// "placement epoch 7: idle, last plan ..."; one or two lines.
std::string BalancerText(const Balancer& balancer);
std::string PlanText(const PlanFigures& plan);
nlohmann::ordered_json BalancerJson(const Balancer& balancer);

}  // namespace atoll::cli
