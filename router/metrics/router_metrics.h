#pragma once

// The eyes of a router: /metrics, expert loads with their recording, and the status line. Gathers what the parts of the
// router know; they know nothing of it.

#include <memory>

#include "base/clock.h"
#include "router/control/cluster_control.h"
#include "router/http/door/routes.h"
#include "router/inference/front_door.h"
#include "router/metrics/load_recording.h"
#include "router/metrics/load_window.h"
#include "router/metrics/metrics_text.h"
#include "router/metrics/status_line.h"

namespace atoll::router {

// All of it outlives the RouterMetrics.
struct MetricsSources {
  const FrontDoor* front_door = nullptr;
  const ClusterControl* control = nullptr;
  const Clock* clock = nullptr;
};

struct RouterMetricsOptions {
  BuildFacts build;
  LoadShape shape;
  bool vllm_names = true;
  int64_t status_interval_ms = 5000;  // 0: no status line
};

// Thread-safe, but for Tick, which is one thread's.
class RouterMetrics {
 public:
  RouterMetrics(RouterMetricsOptions options, const MetricsSources& sources);

  // Often. Writes the status line when it is due.
  void Tick();

  // /metrics and /debug/expert_load with what is below it; this outlives the routes' use.
  void AddRoutes(http::Routes& routes);
  // Of the public port; shared with its routes.
  const std::shared_ptr<http::RequestCounts>& http_counts() const { return http_counts_; }

  std::string Text(metrics::TextFormat format) const;

 private:
  ClusterReport Report() const { return sources_.control->Report(/*expert_counts=*/true); }
  std::vector<LayerCounts> Sums() const { return Report().expert_counts; }
  http::Response Metrics(const http::Request& request) const;
  http::Response ExpertLoad(const http::Request& request) const;
  http::Response StartRecording(const http::Request& request);
  http::Response StopRecording(const http::Request& request);
  http::Response DumpRecording(const http::Request& request) const;
  http::Response LoadFile(const http::Request& request, const std::vector<LayerCounts>& counts, LoadFacts facts) const;
  void WriteStatusLine(int64_t now_ns);

  const RouterMetricsOptions options_;
  const MetricsSources sources_;
  const int64_t started_ns_;
  const std::shared_ptr<http::RequestCounts> http_counts_ = std::make_shared<http::RequestCounts>();
  LoadWindow window_;
  LoadRecording recording_;
  StatusLine status_line_;
};

}  // namespace atoll::router
