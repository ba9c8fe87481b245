#pragma once

// Asks an attention node for the record of a step; included by attention_client.cc alone.

#include <functional>
#include <string>

#include "atoll/v1/attention.grpc.pb.h"
#include "base/status.h"
#include "router/attention/step_trace.h"

namespace atoll::router {

// `done` is called once, on a gRPC thread; a call of what is returned ends the call.
std::function<void()> StartStepTrace(v1::AttentionService::Stub& stub, const std::string& node_id, const StepTraceCall& call,
                                     std::function<void(absl::StatusOr<StepTrace>)> done);

}  // namespace atoll::router
