#pragma once

// A finished span: what happened from when to when, as part of which trace. Plain values.

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/trace/trace_context.h"

namespace atoll::trace {

using AttributeValue = std::variant<bool, int64_t, double, std::string, std::vector<std::string>>;
using Attributes = std::vector<std::pair<std::string, AttributeValue>>;

enum class SpanKind { kInternal, kServer, kClient };

inline constexpr size_t kLinksMax = 128;  // of one span

struct SpanEvent {
  std::string name;
  int64_t unix_ns = 0;
  Attributes attributes = {};
};

struct Span {
  TraceContext context = {};
  SpanId parent = {};             // zero: the trace begins here
  std::string state = {};         // tracestate, as it came
  std::string name = {};
  SpanKind kind = SpanKind::kInternal;
  int64_t begin_unix_ns = 0;
  int64_t end_unix_ns = 0;
  Attributes attributes = {};
  std::vector<SpanEvent> events = {};
  std::vector<TraceContext> links = {};
  std::string error = {};         // empty: it did not fail
};

// Times of a clock that knows no calendar, as what the wall clock says now makes them.
class UnixTime {
 public:
  explicit UnixTime(const Clock& clock)
      : offset_ns_(std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count() - clock.NowNs()) {}
  int64_t operator()(int64_t clock_ns) const { return clock_ns + offset_ns_; }

 private:
  const int64_t offset_ns_;
};

}  // namespace atoll::trace
