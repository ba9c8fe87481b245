#pragma once

// Deadlines of calls as the milliseconds that are left: what is forwarded to the next process.

#include <grpcpp/server_context.h>

#include <chrono>
#include <cstdint>
#include <optional>

#include "base/status.h"

namespace atoll::net {

// Nothing where the client set no deadline; 0 or less where it has passed.
inline std::optional<int64_t> RemainingMs(const grpc::ServerContextBase& context) {
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return std::nullopt;
  return std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::system_clock::now()).count();
}

// Of a call that OnCancel was told of: gRPC cancels a call whose deadline passes, too.
inline absl::Status WhyCancelled(const grpc::ServerContextBase& context) {
  if (RemainingMs(context).value_or(1) > 0) return absl::CancelledError("the client has left");
  return absl::DeadlineExceededError("the call's deadline has passed");
}

}  // namespace atoll::net
