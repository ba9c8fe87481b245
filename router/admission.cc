#include "router/admission.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/error_info.h"

namespace atoll::router {
namespace {

constexpr int64_t kRetryAfterMs = 500;

absl::Status Full(const std::string& reason, const std::string& sentence, double jitter) {
  const auto retry_after_ms = kRetryAfterMs + static_cast<int64_t>(jitter * kRetryAfterMs);
  return WithErrorInfo(absl::ResourceExhaustedError(sentence), {.reason = reason, .metadata = {}, .retry_after_ms = retry_after_ms});
}

}  // namespace

absl::Status Admission::Admit(int64_t prompt_tokens, double jitter) {
  if (draining_) {
    return WithErrorInfo(absl::UnavailableError("this router is shutting down; ask another one"),
                         {.reason = "DRAINING", .metadata = {}, .retry_after_ms = kRetryAfterMs});
  }
  if (requests_ >= limits_.requests_max) {
    return Full("TOO_MANY_REQUESTS", absl::StrCat(requests_, " requests run or wait, which is all that --max-num-requests admits; try again later"),
                jitter);
  }
  if (queued_prompt_tokens_ > 0 && queued_prompt_tokens_ + prompt_tokens > limits_.queued_prompt_tokens_max) {
    return Full("TOO_MANY_QUEUED_TOKENS",
                absl::StrCat(queued_prompt_tokens_, " prompt tokens wait, ", prompt_tokens, " more would exceed --max-queued-tokens (",
                             limits_.queued_prompt_tokens_max, "); try again later"),
                jitter);
  }
  ++requests_;
  queued_prompt_tokens_ += prompt_tokens;
  return absl::OkStatus();
}

}  // namespace atoll::router
