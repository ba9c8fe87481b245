#pragma once

// VllmEngine/Generate: one call is one request of the front door.

#include "net/grpc/single_request.h"
#include "router/inference/front_door.h"
#include "router/inference/worker.h"
#include "router/vllm/running_calls.h"

namespace vllm::grpc::engine {
class GenerateRequest;
class GenerateResponse;
}  // namespace vllm::grpc::engine

namespace atoll::router {

// What the calls of one service share.
struct VllmCalls {
  FrontDoor* front_door = nullptr;
  Worker* worker = nullptr;
  RunningCalls running;
  std::atomic<int64_t> last_received_ms{0};  // since 1970; 0: none yet
};

// Owns itself, as gRPC wants; `calls` outlives it.
net::SingleRequestReactor<vllm::grpc::engine::GenerateRequest, vllm::grpc::engine::GenerateResponse>* NewGenerateReactor(
    const grpc::CallbackServerContext* context, VllmCalls* calls);

// Ends the requests of that id as aborted ones, whose calls then end with OK.
void AbortCalls(const std::string& request_id, VllmCalls& calls);

}  // namespace atoll::router
