#pragma once

// The gRPC face of cluster membership and status.

#include <grpcpp/impl/codegen/service_type.h>

#include <memory>

#include "router/control/cluster_control.h"

namespace atoll::router {

struct ClusterServiceOptions {
  int32_t heartbeat_ms = 50;
  int32_t peer_silence_ms = 500;
};

// Both outlive the service, and the service the server that it is registered with.
std::unique_ptr<grpc::Service> MakeClusterService(const ClusterServiceOptions& options, ClusterControl* control, FrontDoor* front_door,
                                                  const Clock* clock);

}  // namespace atoll::router
