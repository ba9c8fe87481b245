#pragma once

// vLLM's gRPC contract over the front door, so that its gateways can use this router as a worker.

#include <grpcpp/impl/service_type.h>

#include <atomic>
#include <memory>
#include <string>

#include "base/clock.h"
#include "router/control/cluster_control.h"
#include "router/inference/front_door.h"
#include "router/inference/worker.h"

namespace atoll::router {

inline constexpr char kVllmServiceName[] = "vllm.grpc.engine.VllmEngine";

struct VllmSurroundings {
  FrontDoor* front_door = nullptr;
  Worker* worker = nullptr;
  const ClusterControl* control = nullptr;
  const Clock* clock = nullptr;
  const std::atomic<bool>* draining = nullptr;
  std::string version;
};

// What it refers to outlives the service, and the service the server that it is registered with.
std::unique_ptr<grpc::Service> MakeVllmService(const VllmSurroundings& surroundings);

}  // namespace atoll::router
