// Bodies of the HTTP API: any bytes, read as a completion, a chat and a chat to tokenize; then refused or understood, never
// anything else. What is understood is checked as the router checks it.

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "router/http/api/api_call.h"
#include "router/http/api/api_error.h"
#include "router/request/validation.h"

namespace {

using namespace atoll::router;  // NOLINT

void Validate(const absl::StatusOr<http::ApiCall>& call) {
  if (!call.ok()) {
    const http::ApiError error = http::ToApiError(call.status());
    ATOLL_CHECK(error.status == 400, error.message);
    ATOLL_CHECK(nlohmann::json::accept(http::ErrorJson(error)), error.message);
    return;
  }
  RequestLimits limits;
  limits.vocabulary_size = 4096;
  limits.context_length = 2048;
  limits.has_tokenizer = true;
  limits.prompt_bytes_max = 1 << 20;
  limits.deadline_ms_max = 1000;
  for (const GenerateCall& one : call->calls) (void)ValidateCall(one, limits);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  http::Json body;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (!http::ParseJson(text, body).ok()) return 0;
  Validate(http::ReadCompletionCall(body, text));
  Validate(http::ReadChatCall(body, text));
  return 0;
}
