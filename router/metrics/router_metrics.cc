#include "router/metrics/router_metrics.h"

#include "base/log.h"

namespace atoll::router {

RouterMetrics::RouterMetrics(RouterMetricsOptions options, const MetricsSources& sources)
    : options_(std::move(options)), sources_(sources), started_ns_(sources.clock->NowNs()), status_line_(options_.status_interval_ms) {}

std::string RouterMetrics::Text(metrics::TextFormat format) const {
  MetricsInput input{.requests = &sources_.front_door->metrics(),
                     .totals = sources_.front_door->totals(),
                     .cluster = Report(),
                     .evenness = {},
                     .http = http_counts_.get(),
                     .build = options_.build,
                     .vllm_names = options_.vllm_names};
  if (input.cluster.view != nullptr) input.evenness = EvennessOf(window_.Recent(std::move(input.cluster.expert_counts)), *input.cluster.view->placement);
  return MetricsText(input, format);
}

void RouterMetrics::Tick() {
  const int64_t now_ns = sources_.clock->NowNs();
  if (window_.Due(now_ns)) window_.Add(now_ns, Sums());
  if (status_line_.Due(now_ns)) WriteStatusLine(now_ns);
}

void RouterMetrics::WriteStatusLine(int64_t now_ns) {
  ClusterReport cluster = Report();
  const RequestMetrics& requests = sources_.front_door->metrics();
  const AttentionSums sums = SumsOf(cluster);
  StatusFigures figures{.prompt_tokens = requests.prompt_tokens(),
                        .generated_tokens = requests.generated_tokens(),
                        .requests_running = sources_.front_door->totals().running,
                        .sequences_running = sums.running,
                        .sequences_waiting = sums.waiting,
                        .cache_used = sums.CacheUsed(),
                        .balancedness = {}};
  for (size_t i = 0; i < kOutcomes; ++i) figures.ended += requests.ended(static_cast<Outcome>(i));
  for (const Outcome outcome : {Outcome::kDeadline, Outcome::kUnavailable, Outcome::kFailed}) figures.failed += requests.ended(outcome);
  for (size_t i = 0; i < kRefusals.size(); ++i) figures.refused += requests.refused(i);
  if (cluster.view != nullptr) {
    figures.balancedness = MeanBalancedness(EvennessOf(window_.Recent(std::move(cluster.expert_counts)), *cluster.view->placement));
  }
  if (const std::string line = status_line_.Next(now_ns, figures); !line.empty()) LogInfo(line);
}

}  // namespace atoll::router
