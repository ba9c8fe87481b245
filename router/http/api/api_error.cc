#include "router/http/api/api_error.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/error_info.h"
#include "router/http/json/json_write.h"

namespace atoll::router::http {
namespace {

struct Kind {
  int status;
  const char* type;
  const char* code;
};

Kind KindOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument: return {400, "invalid_request_error", "invalid_value"};
    case absl::StatusCode::kFailedPrecondition: return {400, "invalid_request_error", "not_possible"};
    case absl::StatusCode::kUnimplemented: return {400, "invalid_request_error", "unsupported_value"};
    case absl::StatusCode::kNotFound: return {404, "invalid_request_error", "model_not_found"};
    case absl::StatusCode::kAlreadyExists: return {409, "invalid_request_error", "request_id_in_use"};
    case absl::StatusCode::kResourceExhausted: return {429, "rate_limit_error", "overloaded"};
    case absl::StatusCode::kUnavailable: return {503, "unavailable_error", "unavailable"};
    case absl::StatusCode::kDeadlineExceeded: return {504, "timeout_error", "deadline_passed"};
    default: return {500, "server_error", "internal_error"};
  }
}

Kind KindOf(int status) {
  switch (status) {
    case 401: return {status, "authentication_error", "invalid_api_key"};
    case 404: return {status, "invalid_request_error", "not_found"};
    case 405: return {status, "invalid_request_error", "method_not_allowed"};
    case 408: return {status, "timeout_error", "request_timeout"};
    case 413: return {status, "invalid_request_error", "request_too_large"};
    case 415: return {status, "invalid_request_error", "unsupported_media_type"};
    case 431: return {status, "invalid_request_error", "header_too_large"};
    case 503: return {status, "unavailable_error", "unavailable"};
    default: return {status, status >= 500 ? "server_error" : "invalid_request_error", status >= 500 ? "internal_error" : "bad_request"};
  }
}

// The field of an HTTP request that became that field of a GenerateCall.
std::string ParamOf(std::string field) {
  for (const std::string_view prefix : {"sampling.", "stopping."}) {
    if (field.starts_with(prefix)) return field.substr(prefix.size());
  }
  if (field == "text" || field == "token_ids" || field == "input") return "prompt";
  if (field == "json_schema") return "response_format.json_schema.schema";
  if (field == "chat" || field == "chat.messages") return "messages";
  if (field == "chat.thinking") return "chat_template_kwargs.thinking";
  return field;
}

std::string LowerCase(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

void AppendStringOrNull(const std::string& text, std::string& out) {
  if (text.empty()) {
    out += "null";
  } else {
    AppendJsonString(text, out);
  }
}

constexpr int64_t kRetryAfterMs = 1000;

}  // namespace

ApiError ToApiError(const absl::Status& status) {
  const Kind kind = KindOf(status.code());
  ApiError error{.status = kind.status, .message = std::string(status.message()), .type = kind.type, .param = "", .code = kind.code, .retry_after_ms = {}};
  if (kind.status == 429 || kind.status == 503) error.retry_after_ms = kRetryAfterMs;
  const std::optional<ErrorInfo> info = GetErrorInfo(status);
  if (!info) return error;
  error.code = LowerCase(info->reason);
  if (info->reason == "INVALID_FIELD") error.code = "invalid_value";
  if (info->reason == "MODEL_NOT_FOUND") error.param = "model";
  if (info->retry_after_ms) error.retry_after_ms = info->retry_after_ms;
  const auto field = info->metadata.find("field");
  if (field == info->metadata.end()) return error;
  error.param = ParamOf(field->second);
  if (error.message.starts_with(field->second + ":")) error.message = error.param + error.message.substr(field->second.size());
  return error;
}

std::string ErrorJson(const ApiError& error) {
  std::string out = "{\"error\":{\"message\":";
  AppendJsonString(error.message, out);
  out += ",\"type\":";
  AppendStringOrNull(error.type, out);
  out += ",\"param\":";
  AppendStringOrNull(error.param, out);
  out += ",\"code\":";
  AppendStringOrNull(error.code, out);
  return out += "}}";
}

Response ErrorResponse(const ApiError& error) {
  Response response{.status = error.status, .content_type = "application/json", .headers = {}, .body = ErrorJson(error)};
  if (error.retry_after_ms) response.headers.emplace_back("Retry-After", absl::StrCat(std::max<int64_t>(1, (*error.retry_after_ms + 999) / 1000)));
  if (error.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

Response ErrorResponse(int status, std::string_view sentence) {
  const Kind kind = KindOf(status);
  ApiError error{.status = status, .message = std::string(sentence), .type = kind.type, .param = "", .code = kind.code, .retry_after_ms = {}};
  if (status == 503 || status == 429) error.retry_after_ms = kRetryAfterMs;
  return ErrorResponse(error);
}

}  // namespace atoll::router::http
