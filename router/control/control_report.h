#pragma once

// What the control says to those who ask. Plain values.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "router/cluster/cluster_state.h"

namespace atoll::router {

// What grpc.health.v1 says, by role.
struct HealthView {
  bool ready = false;
  bool attention = false;  // an attention node is usable
  bool expert = false;     // every expert has a live host
  friend bool operator==(const HealthView&, const HealthView&) = default;
};

struct RoutingBiasReport {
  float epsilon = 0;  // that is served with
  std::string off_reason;
  RoutingBiasTotals totals;
};

struct ClusterReport {
  bool ready = false;
  std::string not_ready_reason;
  uint64_t epoch = 0;
  std::string not_exact_reason;                   // empty: promise P1 holds
  std::optional<RoutingBiasReport> routing_bias;  // absent where none was asked for
  std::vector<NodeReport> nodes;
  std::vector<LayerCounts> expert_counts;  // where asked for
  std::vector<LayerBalance> balance;
  BalancerReport balancer;
  std::shared_ptr<const ClusterView> view;  // null before the first
  int64_t now_ns = 0;
};

}  // namespace atoll::router
