#pragma once

// What a sequence whose request is sampled remembers for its span. Owned by the step thread.

#include <cstdint>
#include <vector>

#include "base/trace/trace_context.h"

namespace atoll::attention_node {

struct SequenceTrace {
  trace::TraceContext context;  // of its span
  trace::SpanId parent{};
  int64_t arrived_ns = 0;
  int64_t started_ns = 0;       // when its first step began; 0: none did
  int64_t first_token_ns = 0;
  int64_t steps = 0;            // it took part in
  std::vector<trace::TraceContext> traced_steps;  // of them, the spans of those that were traced
};

}  // namespace atoll::attention_node
