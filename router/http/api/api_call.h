#pragma once

// A body of /v1/completions or /v1/chat/completions as the router's own requests, and how the answer is wanted.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "router/http/json/json_fields.h"
#include "router/request/request.h"

namespace atoll::router::http {

enum class AnswerKind { kCompletion, kChat };

inline constexpr size_t kPromptsMax = 128;  // of one request

struct AnswerOptions {
  AnswerKind kind = AnswerKind::kCompletion;
  bool stream = false;
  bool include_usage = false;     // a last chunk of a stream
  bool continuous_usage = false;  // in every chunk
  bool echo = false;
  bool return_token_ids = false;
  std::optional<int32_t> logprobs = {};  // alternatives
};

struct ApiCall {
  std::vector<GenerateCall> calls;  // one for each prompt; choice i of prompt p is choice p * n + i of the answer
  AnswerOptions answer;
  std::vector<std::string> unknown;  // fields that nobody knows
};

// INVALID_ARGUMENT names the field that is wrong or asks for what is not offered.
// `text` is what `body` was parsed from.
absl::StatusOr<ApiCall> ReadCompletionCall(const Json& body, std::string_view text);
absl::StatusOr<ApiCall> ReadChatCall(const Json& body, std::string_view text);

// The messages and tools of a chat, for /tokenize too.
absl::StatusOr<ChatPrompt> ReadChatPrompt(JsonFields& fields, std::string_view text);

}  // namespace atoll::router::http
