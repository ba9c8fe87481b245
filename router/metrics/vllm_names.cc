// The same figures under the names that vLLM gives them, for dashboards, endpoint pickers and autoscalers that know those.
// The whole cluster is one engine.

#include <map>
#include <string>

#include "router/metrics/metrics_text.h"

namespace atoll::router {
namespace {

using metrics::Exposition;
using metrics::Labels;
using metrics::Type;

constexpr int kPagePositions = 64;

struct Alias {
  const char* ours;
  const char* name;
};
constexpr Alias kHistograms[] = {{"atoll_time_to_first_token_seconds", "vllm:time_to_first_token_seconds"},
                                 {"atoll_inter_token_latency_seconds", "vllm:inter_token_latency_seconds"},
                                 {"atoll_request_duration_seconds", "vllm:e2e_request_latency_seconds"},
                                 {"atoll_request_queue_seconds", "vllm:request_queue_time_seconds"},
                                 {"atoll_request_prefill_seconds", "vllm:request_prefill_time_seconds"},
                                 {"atoll_request_decode_seconds", "vllm:request_decode_time_seconds"},
                                 {"atoll_request_prompt_tokens", "vllm:request_prompt_tokens"},
                                 {"atoll_request_generated_tokens", "vllm:request_generation_tokens"}};

Labels With(Labels labels, std::string_view name, std::string_view value) {
  labels.emplace_back(name, value);
  return labels;
}

void AppendGauges(const AttentionSums& sums, const Labels& engine, Exposition& out) {
  const auto gauge = [&](const char* name, const char* help, auto value) {
    out.Begin(Type::kGauge, name, help);
    out.Sample(engine, value);
  };
  gauge("vllm:num_requests_running", "Sum of atoll_sequences_running.", sums.running);
  gauge("vllm:num_requests_waiting", "Sum of atoll_sequences_waiting.", sums.waiting);
  gauge("vllm:kv_cache_usage_perc", "Sum of atoll_kv_pages_used / sum of atoll_kv_pages.", sums.CacheUsed());
  out.Begin(Type::kGauge, "vllm:cache_config_info", "Size of a page in positions and number of pages; always 1.");
  const std::string page = std::to_string(kPagePositions), pages = std::to_string(sums.pages);
  out.Sample(With(With(engine, "block_size", page), "num_gpu_blocks", pages), 1);
}

void AppendCounters(const RequestMetrics& requests, const AttentionSums& sums, const Labels& engine, Exposition& out) {
  const auto counter = [&](const char* name, const char* help, uint64_t value) {
    out.Begin(Type::kCounter, name, help);
    out.Sample(engine, value);
  };
  counter("vllm:prompt_tokens_total", "As atoll_prompt_tokens_total.", requests.prompt_tokens());
  counter("vllm:generation_tokens_total", "As atoll_generated_tokens_total.", requests.generated_tokens());
  counter("vllm:num_preemptions_total", "Sum of atoll_preemptions_total.", sums.preemptions);
  out.Begin(Type::kCounter, "vllm:request_success_total", "As atoll_sequences_total.");
  for (size_t i = 0; i < kSequenceOutcomes; ++i) {
    const auto outcome = static_cast<SequenceOutcome>(i);
    out.Sample(With(engine, "finished_reason", SequenceOutcomeName(outcome)), requests.sequences_ended(outcome));
  }
  out.Begin(Type::kCounter, "vllm:admission_rejections_total", "As atoll_requests_refused_total.");
  for (size_t i = 0; i < kRefusals.size(); ++i) out.Sample(With(engine, "reason", kRefusals[i]), requests.refused(i));
}

// By class of status, as the package counts that vLLM uses.
void AppendHttp(const http::RequestCounts& counts, Exposition& out) {
  out.Begin(Type::kCounter, "http_requests_total", "As atoll_http_requests_total, statuses by class.");
  for (const http::RequestCounts::Entry& entry : counts.entries()) {
    std::map<std::string, uint64_t> by_class;
    for (const http::StatusCounts::Row& row : entry.counts->Rows()) by_class[row.status == 0 ? "other" : std::to_string(row.status / 100) + "xx"] += row.count;
    for (const auto& [status, count] : by_class) out.Sample({{"handler", entry.handler}, {"method", entry.method}, {"status", status}}, count);
  }
}

}  // namespace

void AppendVllmNames(const MetricsInput& input, Exposition& out) {
  const Labels engine{{"model_name", input.build.model}, {"engine", "0"}};
  const AttentionSums sums = SumsOf(input.cluster);
  AppendGauges(sums, engine, out);
  AppendCounters(*input.requests, sums, engine, out);
  for (const NamedHistogram& histogram : input.requests->Snapshot()) {
    for (const Alias& alias : kHistograms) {
      if (histogram.name != alias.ours) continue;
      out.Begin(Type::kHistogram, alias.name, "As " + std::string(alias.ours) + ".");
      out.Sample(engine, histogram.values);
    }
  }
  AppendHttp(*input.http, out);
}

}  // namespace atoll::router
