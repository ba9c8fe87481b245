#pragma once

// Spans as OTLP's messages; included by otlp_client.cc alone.

#include <span>

#include "base/trace/span.h"
#include "net/otlp/otlp_exporter.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"

namespace atoll::net {

// One call's worth: all spans under one resource.
opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest ToExport(std::span<const trace::Span> spans, const std::string& service_name,
                                                                               const OtlpResource& resource);

}  // namespace atoll::net
