#pragma once

// A server interceptor: one log line for each call that ends with an error, with method, peer, request id, time left of
// its deadline and duration. Handlers log nothing about calls themselves.

#include <grpcpp/support/server_interceptor.h>

#include <memory>

namespace atoll::net {

// Metadata key under which a client may send its own request id.
inline constexpr char kRequestIdKey[] = "x-request-id";

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeCallLogFactory();

}  // namespace atoll::net
