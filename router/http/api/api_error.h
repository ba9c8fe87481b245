#pragma once

// Errors in OpenAI's JSON form.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "router/http/server/message.h"

namespace atoll::router::http {

struct ApiError {
  int status = 500;
  std::string message;
  std::string type;   // invalid_request_error, rate_limit_error, unavailable_error, server_error, ...
  std::string param;  // the request's field; empty: null
  std::string code;   // stable; empty: null
  std::optional<int64_t> retry_after_ms;
};

// A refusal or failure as the HTTP client knows it: fields by the names that it used.
ApiError ToApiError(const absl::Status& status);

// {"error":{...}}
std::string ErrorJson(const ApiError& error);
Response ErrorResponse(const ApiError& error);

inline Response ErrorResponse(const absl::Status& status) { return ErrorResponse(ToApiError(status)); }
// For what has no absl::Status: 401, 404, 405, 413, ...
Response ErrorResponse(int status, std::string_view sentence);

}  // namespace atoll::router::http
