#pragma once

// One step's way through the layers, from whichever attention node has it first.

#include <functional>

#include "base/status.h"
#include "router/attention/step_trace.h"
#include "router/inference/serving.h"

namespace atoll::router {

inline constexpr int64_t kStepTraceTimeoutMsMax = 60000;

// Asks every attention node of `serving` at once; the first record is the answer, and the other nodes forget the question.
// `done` is called once, from here or on a gRPC thread. UNAVAILABLE: there is no attention node; DEADLINE_EXCEEDED: no such
// step came in time; CANCELLED: what is returned was called.
std::function<void()> TraceStep(const Serving& serving, StepTraceCall call, std::function<void(absl::StatusOr<StepTrace>)> done);

}  // namespace atoll::router
