#pragma once

// The gRPC face of the front door.

#include <grpcpp/impl/codegen/service_type.h>

#include <memory>

#include "router/inference/front_door.h"
#include "router/inference/worker.h"

namespace atoll::router {

// Both outlive the service, and the service the server that it is registered with. Calls with long texts run on `worker`.
std::unique_ptr<grpc::Service> MakeInferenceService(FrontDoor* front_door, Worker* worker);

}  // namespace atoll::router
