#include "base/error_info.h"

#include <cstdlib>
#include <string_view>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace atoll {
namespace {

// Payload keys of an absl::Status: one for the reason, one for the retry delay, one for each metadata entry.
constexpr char kReasonKey[] = "atoll/reason";
constexpr char kRetryKey[] = "atoll/retry_after_ms";
constexpr char kMetadataPrefix[] = "atoll/metadata/";

}  // namespace

absl::Status WithErrorInfo(absl::Status status, const ErrorInfo& info) {
  status.SetPayload(kReasonKey, absl::Cord(info.reason));
  if (info.retry_after_ms) status.SetPayload(kRetryKey, absl::Cord(absl::StrCat(*info.retry_after_ms)));
  for (const auto& [key, value] : info.metadata) status.SetPayload(absl::StrCat(kMetadataPrefix, key), absl::Cord(value));
  return status;
}

std::optional<ErrorInfo> GetErrorInfo(const absl::Status& status) {
  const auto reason = status.GetPayload(kReasonKey);
  if (!reason) return std::nullopt;
  ErrorInfo info{.reason = std::string(*reason), .metadata = {}, .retry_after_ms = std::nullopt};
  status.ForEachPayload([&](absl::string_view key, const absl::Cord& value) {
    int64_t retry_after_ms = 0;
    if (absl::ConsumePrefix(&key, kMetadataPrefix)) {
      info.metadata[std::string(key)] = std::string(value);
    } else if (key == kRetryKey && absl::SimpleAtoi(std::string(value), &retry_after_ms)) {
      info.retry_after_ms = retry_after_ms;
    }
  });
  return info;
}

}  // namespace atoll
