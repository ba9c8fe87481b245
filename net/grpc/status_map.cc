#include "net/grpc/status_map.h"

#include <string>

#include "google/rpc/error_details.pb.h"

namespace atoll::net {
namespace {

constexpr size_t kMessageBytesMax = 2048;

void AddDetails(const ErrorInfo& info, google::rpc::Status& to) {
  google::rpc::ErrorInfo error;
  error.set_reason(info.reason);
  error.set_domain(std::string(kErrorDomain));
  for (const auto& [key, value] : info.metadata) (*error.mutable_metadata())[key] = value;
  to.add_details()->PackFrom(error);
  if (!info.retry_after_ms) return;
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(*info.retry_after_ms / 1000);
  retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(*info.retry_after_ms % 1000 * 1000000));
  to.add_details()->PackFrom(retry);
}

// Fills `info` from the details; false where there is no ErrorInfo of ours.
bool ReadDetails(const std::string& bytes, ErrorInfo& info) {
  google::rpc::Status status;
  if (bytes.empty() || !status.ParseFromString(bytes)) return false;
  bool found = false;
  for (const google::protobuf::Any& detail : status.details()) {
    google::rpc::ErrorInfo error;
    google::rpc::RetryInfo retry;
    if (detail.UnpackTo(&error) && error.domain() == kErrorDomain) {
      info.reason = error.reason();
      info.metadata = {error.metadata().begin(), error.metadata().end()};
      found = true;
    } else if (detail.UnpackTo(&retry) && retry.retry_delay().seconds() >= 0 && retry.retry_delay().seconds() < 86400) {
      info.retry_after_ms = retry.retry_delay().seconds() * 1000 + retry.retry_delay().nanos() / 1000000;
    }
  }
  return found;
}

}  // namespace

std::string_view StatusCodeName(absl::StatusCode code) {
  static constexpr std::string_view kNames[] = {
      "OK",        "CANCELLED",     "UNKNOWN",       "INVALID_ARGUMENT",  "DEADLINE_EXCEEDED",   "NOT_FOUND",
      "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
      "UNIMPLEMENTED", "INTERNAL",  "UNAVAILABLE",   "DATA_LOSS",         "UNAUTHENTICATED"};
  const int number = static_cast<int>(code);
  return number >= 0 && number <= 16 ? kNames[number] : kNames[2];
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const std::string message(status.message().substr(0, kMessageBytesMax));
  ErrorInfo info = GetErrorInfo(status).value_or(ErrorInfo{});
  if (info.reason.empty()) info.reason = std::string(StatusCodeName(status.code()));
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(message);
  AddDetails(info, details);
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), message, details.SerializeAsString());
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const int number = static_cast<int>(status.error_code());
  const absl::StatusCode code = number > 0 && number <= 16 ? static_cast<absl::StatusCode>(number) : absl::StatusCode::kUnknown;
  absl::Status result(code, status.error_message());
  ErrorInfo info;
  return ReadDetails(status.error_details(), info) ? WithErrorInfo(std::move(result), info) : result;
}

}  // namespace atoll::net
