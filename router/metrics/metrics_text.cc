#include "router/metrics/metrics_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace atoll::router {
namespace {

using metrics::Exposition;
using metrics::Type;

void AppendHttp(const http::RequestCounts& counts, Exposition& out) {
  out.Begin(Type::kCounter, "atoll_http_requests_total", "Requests to the public HTTP port by route, method and status; 499: the client left.");
  for (const http::RequestCounts::Entry& entry : counts.entries()) {
    for (const http::StatusCounts::Row& row : entry.counts->Rows()) {
      const std::string status = row.status == 0 ? "other" : absl::StrCat(row.status);
      out.Sample({{"handler", entry.handler}, {"method", entry.method}, {"status", status}}, row.count);
    }
  }
}

}  // namespace

void AppendRequestMetrics(const MetricsInput& input, Exposition& out) {
  const RequestMetrics& requests = *input.requests;
  out.One(Type::kGauge, "atoll_requests_running", "Requests that were admitted and have not ended.", input.totals.running);
  out.Begin(Type::kCounter, "atoll_requests_total", "Requests that were admitted and have ended, by how.");
  for (size_t i = 0; i < kOutcomes; ++i) {
    const auto outcome = static_cast<Outcome>(i);
    out.Sample({{"outcome", OutcomeName(outcome)}}, requests.ended(outcome));
  }
  out.Begin(Type::kCounter, "atoll_requests_refused_total", "Requests that were not admitted, by reason.");
  for (size_t i = 0; i < kRefusals.size(); ++i) out.Sample({{"reason", kRefusals[i]}}, requests.refused(i));
  out.Begin(Type::kCounter, "atoll_sequences_total", "Sequences of requests that have ended, by how.");
  for (size_t i = 0; i < kSequenceOutcomes; ++i) {
    const auto outcome = static_cast<SequenceOutcome>(i);
    out.Sample({{"outcome", SequenceOutcomeName(outcome)}}, requests.sequences_ended(outcome));
  }
  out.One(Type::kCounter, "atoll_prompt_tokens_total", "Tokens of prompts whose first token has come.", requests.prompt_tokens());
  out.One(Type::kCounter, "atoll_generated_tokens_total", "Tokens that were generated for clients.", requests.generated_tokens());
  for (const NamedHistogram& histogram : requests.Snapshot()) out.One(Type::kHistogram, histogram.name, histogram.help, histogram.values);
  AppendHttp(*input.http, out);
}

std::string MetricsText(const MetricsInput& input, metrics::TextFormat format) {
  Exposition out(format);
  const std::string fingerprint = absl::StrFormat("%016x", input.build.model_fingerprint);
  out.Begin(Type::kGauge, "atoll_build_info", "What runs here; always 1.");
  out.Sample({{"version", input.build.version}, {"commit", input.build.commit}, {"model", input.build.model}, {"model_fingerprint", fingerprint}}, 1);
  AppendRequestMetrics(input, out);
  AppendNodeMetrics(input, out);
  AppendPlacementMetrics(input, out);
  if (input.vllm_names) AppendVllmNames(input, out);
  AppendProcessMetrics(out);
  return std::move(out).Take();
}

}  // namespace atoll::router
