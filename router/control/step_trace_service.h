#pragma once

// TraceStep on the wire; included by cluster_service.cc alone.

#include <grpcpp/support/server_callback.h>

#include "atoll/v1/attention.pb.h"
#include "router/inference/serving.h"

namespace atoll::router {

// Asks the attention nodes and finishes the call with what comes first. All arguments outlive the call.
grpc::ServerUnaryReactor* AnswerTraceStep(const ServingSource& source, const grpc::CallbackServerContext& context,
                                          const v1::TraceStepRequest& request, v1::TraceStepResponse& response);

}  // namespace atoll::router
