#pragma once

// Placement on the wire: views, what the balancer says of itself, what operators ask of it.

#include "atoll/v1/cluster.pb.h"
#include "router/control/cluster_control.h"

namespace atoll::router {

void FillView(const ClusterView& view, v1::ClusterView& to);
void FillBalancer(const BalancerReport& report, v1::BalancerStatus& to);
// INVALID_ARGUMENT for an action that is not known.
absl::Status ApplyChange(const v1::ChangePlacementRequest& request, ClusterControl& control);

}  // namespace atoll::router
