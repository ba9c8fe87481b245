#pragma once

// A machine-readable reason inside an absl::Status, which net/grpc/ turns into google.rpc.ErrorInfo and RetryInfo.

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"

namespace atoll {

struct ErrorInfo {
  std::string reason;                           // stable, UPPER_SNAKE_CASE, at most 63 characters
  std::map<std::string, std::string> metadata;  // for example {"field", "sampling.top_p"}
  std::optional<int64_t> retry_after_ms;        // when to try again, for overload and for what passes by itself
};

// `status` with `info` attached; an OK status stays as it is.
absl::Status WithErrorInfo(absl::Status status, const ErrorInfo& info);

// What WithErrorInfo attached; nothing where there is no reason.
std::optional<ErrorInfo> GetErrorInfo(const absl::Status& status);

}  // namespace atoll
