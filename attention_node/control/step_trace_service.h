#pragma once

// The record of a step on the wire; included by attention_service.cc alone.

#include <grpcpp/support/server_callback.h>

#include "attention_node/trace/step_recorder.h"
#include "atoll/v1/attention.pb.h"

namespace atoll::attention_node {

// Asks the recorder, and finishes the call when there is a record or the caller has gone. `recorder` outlives the call.
grpc::ServerUnaryReactor* AnswerWithStepTrace(const v1::TraceStepRequest& request, v1::TraceStepResponse& response, StepRecorder& recorder);

}  // namespace atoll::attention_node
