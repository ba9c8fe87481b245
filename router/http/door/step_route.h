#pragma once

// One step's way through the layers, as JSON.

#include <string>

#include "router/attention/step_trace.h"
#include "router/inference/serving.h"
#include "router/http/server/exchange.h"

namespace atoll::router::http {

std::string StepTraceJson(const StepTrace& trace);

// Answers with the next step that has rows of the query's `request_id=` (or the next step at all, without one); 504 when
// there is none within three seconds. The source outlives the handler's use.
Handler StepTraceHandler(const ServingSource* source);

}  // namespace atoll::router::http
