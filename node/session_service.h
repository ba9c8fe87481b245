#pragma once

// The gRPC service that mints data sessions; a thin shell over a SessionMinter.

#include <memory>

#include "node/session.h"

namespace grpc {
class Service;
}

namespace atoll::node {

// For registration with a gRPC server builder. `minter` outlives it.
std::unique_ptr<grpc::Service> MakeSessionService(SessionMinter* minter);

}  // namespace atoll::node
