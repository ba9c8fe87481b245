#include "net/otlp/otlp_messages_client.h"

#include <algorithm>

namespace atoll::net {
namespace {

namespace otlp = opentelemetry::proto;

template <typename Id>
std::string Bytes(const Id& id) {
  return std::string(id.begin(), id.end());
}

void Fill(const trace::AttributeValue& value, otlp::common::v1::AnyValue& to) {
  if (const bool* flag = std::get_if<bool>(&value)) to.set_bool_value(*flag);
  if (const int64_t* number = std::get_if<int64_t>(&value)) to.set_int_value(*number);
  if (const double* number = std::get_if<double>(&value)) to.set_double_value(*number);
  if (const std::string* text = std::get_if<std::string>(&value)) to.set_string_value(*text);
  if (const auto* texts = std::get_if<std::vector<std::string>>(&value)) {
    for (const std::string& text : *texts) to.mutable_array_value()->add_values()->set_string_value(text);
  }
}

template <typename Message>
void FillAttributes(const trace::Attributes& attributes, Message& to) {
  for (const auto& [key, value] : attributes) {
    otlp::common::v1::KeyValue& attribute = *to.add_attributes();
    attribute.set_key(key);
    Fill(value, *attribute.mutable_value());
  }
}

otlp::trace::v1::Span::SpanKind KindOf(trace::SpanKind kind) {
  switch (kind) {
    case trace::SpanKind::kServer: return otlp::trace::v1::Span::SPAN_KIND_SERVER;
    case trace::SpanKind::kClient: return otlp::trace::v1::Span::SPAN_KIND_CLIENT;
    case trace::SpanKind::kInternal: break;
  }
  return otlp::trace::v1::Span::SPAN_KIND_INTERNAL;
}

void FillLinks(const std::vector<trace::TraceContext>& links, otlp::trace::v1::Span& to) {
  const size_t count = std::min(links.size(), trace::kLinksMax);
  for (size_t i = 0; i < count; ++i) {
    otlp::trace::v1::Span::Link& link = *to.add_links();
    link.set_trace_id(Bytes(links[i].trace_id));
    link.set_span_id(Bytes(links[i].span_id));
    link.set_flags(links[i].flags);
  }
  to.set_dropped_links_count(static_cast<uint32_t>(links.size() - count));
}

void Fill(const trace::Span& span, otlp::trace::v1::Span& to) {
  to.set_trace_id(Bytes(span.context.trace_id));
  to.set_span_id(Bytes(span.context.span_id));
  to.set_flags(span.context.flags);
  to.set_trace_state(span.state);
  if (span.parent != trace::SpanId{}) to.set_parent_span_id(Bytes(span.parent));
  to.set_name(span.name);
  to.set_kind(KindOf(span.kind));
  to.set_start_time_unix_nano(static_cast<uint64_t>(span.begin_unix_ns));
  to.set_end_time_unix_nano(static_cast<uint64_t>(span.end_unix_ns));
  FillAttributes(span.attributes, to);
  for (const trace::SpanEvent& event : span.events) {
    otlp::trace::v1::Span::Event& out = *to.add_events();
    out.set_time_unix_nano(static_cast<uint64_t>(event.unix_ns));
    out.set_name(event.name);
    FillAttributes(event.attributes, out);
  }
  FillLinks(span.links, to);
  if (span.error.empty()) return;
  to.mutable_status()->set_code(otlp::trace::v1::Status::STATUS_CODE_ERROR);
  to.mutable_status()->set_message(span.error);
}

}  // namespace

otlp::collector::trace::v1::ExportTraceServiceRequest ToExport(std::span<const trace::Span> spans, const std::string& service_name,
                                                               const OtlpResource& resource) {
  otlp::collector::trace::v1::ExportTraceServiceRequest request;
  otlp::trace::v1::ResourceSpans& all = *request.add_resource_spans();
  FillAttributes({{"service.name", service_name}, {"service.version", resource.service_version}, {"service.instance.id", resource.instance_id}},
                 *all.mutable_resource());
  otlp::trace::v1::ScopeSpans& scope = *all.add_scope_spans();
  scope.mutable_scope()->set_name("atoll");
  scope.mutable_scope()->set_version(resource.service_version);
  for (const trace::Span& span : spans) Fill(span, *scope.add_spans());
  return request;
}

}  // namespace atoll::net
