#pragma once

// The one place where absl::Status and grpc::Status meet. The codes are the same numbers; a reason (base/error_info.h)
// crosses as google.rpc.ErrorInfo of domain "atoll", a retry delay as google.rpc.RetryInfo, both in the status details.

#include <grpcpp/support/status.h>

#include <string_view>

#include "base/error_info.h"
#include "base/status.h"

namespace atoll::net {

inline constexpr std::string_view kErrorDomain = "atoll";

// A status without a reason gets its code's name as the reason. Messages are cut at 2,048 bytes.
grpc::Status ToGrpcStatus(const absl::Status& status);

// Details that cannot be parsed are dropped, unknown codes become UNKNOWN: a peer's status never fails the caller twice.
absl::Status FromGrpcStatus(const grpc::Status& status);

// "INVALID_ARGUMENT"; "UNKNOWN" for a number that is no code.
std::string_view StatusCodeName(absl::StatusCode code);

}  // namespace atoll::net
