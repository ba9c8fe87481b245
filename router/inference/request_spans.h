#pragma once

// The spans of one request as the router sees it: the request, and in it queue, prefill and decode.

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "base/trace/tracer.h"
#include "router/request/request_trace.h"

namespace atoll::router {

struct RequestFacts {
  RequestTrace trace = {};
  std::string request_id = {};
  std::string model = {};
  bool chat = false;
  int64_t begin_ns = 0;         // on the clock
  int64_t queue_us = 0;         // 0: not known
  int64_t first_token_us = 0;   // 0: none came
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  absl::Status status = {};
};

// The request's end is now. Nothing where its trace is not sampled.
void RecordRequestSpans(trace::Tracer& tracer, const Clock& clock, const RequestFacts& facts);

}  // namespace atoll::router
