#include "router/inference/request_spans.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace atoll::router {
namespace {

constexpr int64_t kNsPerUs = 1000;

void RecordPhase(trace::Tracer& tracer, const trace::TraceContext& request, const char* name, int64_t begin_unix_ns, int64_t end_unix_ns) {
  tracer.Record({.context = tracer.NewSpan(request), .parent = request.span_id, .name = name, .begin_unix_ns = begin_unix_ns, .end_unix_ns = end_unix_ns});
}

// Attribute names: OpenTelemetry's conventions for generative AI.
trace::Attributes AttributesOf(const RequestFacts& facts) {
  trace::Attributes attributes{{"gen_ai.operation.name", std::string(facts.chat ? "chat" : "text_completion")},
                               {"gen_ai.provider.name", std::string("deepseek")},
                               {"gen_ai.request.model", facts.model},
                               {"gen_ai.response.id", facts.request_id},
                               {"gen_ai.usage.input_tokens", facts.prompt_tokens},
                               {"gen_ai.usage.output_tokens", facts.completion_tokens}};
  if (!facts.status.ok()) attributes.emplace_back("error.type", absl::StatusCodeToString(facts.status.code()));
  return attributes;
}

}  // namespace

void RecordRequestSpans(trace::Tracer& tracer, const Clock& clock, const RequestFacts& facts) {
  const trace::TraceContext& span = facts.trace.span;
  if (!span.sampled()) return;
  const trace::UnixTime unix_ns(clock);
  const int64_t begin = unix_ns(facts.begin_ns), end = unix_ns(clock.NowNs());
  trace::Span request{.context = span,
                      .parent = facts.trace.parent ? facts.trace.parent->span_id : trace::SpanId{},
                      .state = facts.trace.state,
                      .name = absl::StrCat(facts.chat ? "chat " : "text_completion ", facts.model),
                      .kind = trace::SpanKind::kServer,
                      .begin_unix_ns = begin,
                      .end_unix_ns = end,
                      .attributes = AttributesOf(facts)};
  if (!facts.status.ok()) request.error = std::string(facts.status.message());
  if (facts.first_token_us > 0) {
    const int64_t first_token = std::min(begin + facts.first_token_us * kNsPerUs, end);
    const int64_t started = std::min(begin + facts.queue_us * kNsPerUs, first_token);
    request.events.push_back({.name = "first token", .unix_ns = first_token});
    RecordPhase(tracer, span, "queue", begin, started);
    RecordPhase(tracer, span, "prefill", started, first_token);
    RecordPhase(tracer, span, "decode", first_token, end);
  }
  tracer.Record(std::move(request));
}

}  // namespace atoll::router
