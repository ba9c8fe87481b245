#pragma once

// Calls with any bytes in them.

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

namespace atoll::router {

struct RawAnswer {
  grpc::Status status;
  std::string message;  // the response, as bytes
};

// A call of any kind with one request and at most one response.
RawAnswer CallWithBytes(const std::shared_ptr<grpc::Channel>& channel, const std::string& method, const std::string& request);
// The same with the request twice on one call.
grpc::Status CallTwice(const std::shared_ptr<grpc::Channel>& channel, const std::string& method, const std::string& request);

}  // namespace atoll::router
