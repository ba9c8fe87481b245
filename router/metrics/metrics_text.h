#pragma once

// What stands in /metrics: every name, its meaning and its figure (docs/metrics.md is the table). The number of series
// depends on nodes and layers, never on the number of experts. Pure.

#include <cstdint>
#include <string>
#include <vector>

#include "base/metrics/exposition.h"
#include "router/control/control_report.h"
#include "router/http/door/request_counts.h"
#include "router/inference/front_door.h"
#include "router/metrics/expert_load.h"
#include "router/metrics/request_metrics.h"

namespace atoll::router {

struct BuildFacts {
  std::string version, commit, model;
  uint64_t model_fingerprint = 0;
};

struct MetricsInput {
  const RequestMetrics* requests = nullptr;
  RequestTotals totals;
  ClusterReport cluster;
  std::vector<LayerEvenness> evenness;  // of the last minute
  const http::RequestCounts* http = nullptr;
  BuildFacts build;
  bool vllm_names = true;
};

inline constexpr size_t kNodeSeriesMax = 1024;  // nodes beyond share the label "other"

std::string MetricsText(const MetricsInput& input, metrics::TextFormat format);

// Sums over the attention nodes that are alive.
struct AttentionSums {
  int64_t running = 0, waiting = 0, pages = 0, pages_free = 0;
  uint64_t preemptions = 0;  // since the router's start, of lost nodes too

  double CacheUsed() const { return pages > 0 ? static_cast<double>(pages - pages_free) / static_cast<double>(pages) : 0; }
};
AttentionSums SumsOf(const ClusterReport& cluster);

// The parts of it.
void AppendRequestMetrics(const MetricsInput& input, metrics::Exposition& out);
void AppendNodeMetrics(const MetricsInput& input, metrics::Exposition& out);
void AppendPlacementMetrics(const MetricsInput& input, metrics::Exposition& out);
void AppendVllmNames(const MetricsInput& input, metrics::Exposition& out);
void AppendProcessMetrics(metrics::Exposition& out);

}  // namespace atoll::router
