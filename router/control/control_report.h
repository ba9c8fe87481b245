#pragma once

// What the control says to those who ask. Plain values.

#include <cstdint>
#include <memory>
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

struct ClusterReport {
  bool ready = false;
  std::string not_ready_reason;
  uint64_t epoch = 0;
  bool exact = true;
  std::vector<NodeReport> nodes;
  std::vector<LayerCounts> expert_counts;  // where asked for
  std::vector<LayerBalance> balance;
  BalancerReport balancer;
  std::shared_ptr<const ClusterView> view;  // null before the first
  int64_t now_ns = 0;
};

}  // namespace atoll::router
