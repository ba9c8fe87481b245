#pragma once

// The gRPC service that mints data sessions; a thin shell over a SessionMinter.

#include <grpcpp/impl/service_type.h>

#include <memory>

#include "node/session.h"

namespace atoll::node {

// For registration with a gRPC server builder. `minter` outlives it.
std::unique_ptr<grpc::Service> MakeSessionService(SessionMinter* minter);

}  // namespace atoll::node
