#pragma once

// What PlacementKeeper is told. Plain values.

#include <cstdint>
#include <vector>

#include "router/balance/balance_policy.h"
#include "router/balance/routing_bias/routing_bias.h"

namespace atoll::router {

struct PlacementOptions {
  BalanceOptions balance;
  RoutingBiasOptions routing_bias = {};
  int64_t min_expert_nodes = 1;
  // Loads to place by before any were seen, [layers][experts]; may be empty.
  std::vector<std::vector<double>> cold_start;
};

// What attention nodes have come to.
struct Following {
  int32_t nodes = 0;      // that serve
  uint64_t followed = 0;  // newest epoch that all follow, with nothing older in flight
  uint64_t seen = 0;      // newest epoch that one of them follows
};

}  // namespace atoll::router
