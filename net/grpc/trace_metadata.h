#pragma once

// The W3C trace context that a call came with, as its headers are.

#include <grpcpp/server_context.h>

#include <string_view>

namespace atoll::net {

// The value of a metadata key that was sent once; empty where it was not, or more than once.
inline std::string_view OnlyMetadata(const grpc::ServerContextBase& context, const char* key) {
  const auto& metadata = context.client_metadata();
  if (metadata.count(key) != 1) return {};
  const grpc::string_ref value = metadata.find(key)->second;
  return {value.data(), value.size()};
}

}  // namespace atoll::net
