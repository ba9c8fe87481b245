#pragma once

// The cluster as the page draws it, as JSON. Pure.

#include <string>
#include <vector>

#include "router/control/control_report.h"
#include "router/inference/front_door.h"
#include "router/metrics/request_metrics.h"

namespace atoll::router::page {

// Readiness, nodes with their loads, lost links, balancer, balance per layer, requests.
std::string ClusterJson(const ClusterReport& report, const RequestTotals& requests, int64_t unix_ms);

// [{"name":"atoll_inter_token_latency_seconds","bounds":[0.001,...],"counts":[12,...]},...]: of each bucket its upper bound and
// how many values it has alone; the last one has no bound.
std::string HistogramsJson(const std::vector<NamedHistogram>& histograms);

// {"epoch":4,"nodes":["expert-0",...],"layers":[{"layer":1,"experts":[[0],[0,1,0.25,0.75],...]},...]}: of each expert the
// indexes of the nodes that hold it and, where there are several, their shares in the same order.
std::string PlacementJson(const model::Placement& placement);

}  // namespace atoll::router::page
