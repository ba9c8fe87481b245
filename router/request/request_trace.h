#pragma once

// Where a request stands in a distributed trace: what its client said, and the request's own span. Plain values.

#include <optional>
#include <string>
#include <string_view>

#include "base/trace/trace_context.h"

namespace atoll::router {

inline constexpr size_t kTracestateBytesMax = 512;

struct RequestTrace {
  std::optional<trace::TraceContext> parent = {};  // the client's span
  std::string state = {};                          // W3C's tracestate, as it came
  trace::TraceContext span = {};                   // of the request; the client's own where this process records none; may be empty
};

// From the values of the headers traceparent and tracestate. What is invalid is ignored, as if it had not been sent.
inline RequestTrace ReadRequestTrace(std::string_view traceparent, std::string_view tracestate) {
  RequestTrace trace{.parent = trace::ParseTraceparent(traceparent)};
  if (!trace.parent) return trace;
  trace.span = *trace.parent;
  if (tracestate.size() <= kTracestateBytesMax) trace.state = std::string(tracestate);
  return trace;
}

}  // namespace atoll::router
