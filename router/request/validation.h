#pragma once

// Every range that inference.proto names, checked before anything is spent on a request. Pure.

#include <cstdint>
#include <string>

#include "base/status.h"
#include "router/request/request.h"

namespace atoll::router {

inline constexpr int32_t kChoicesMax = 128;
inline constexpr int32_t kLogprobsMax = 20;
inline constexpr size_t kStopStringsMax = 16;
inline constexpr size_t kStopStringBytesMax = 1024;
inline constexpr size_t kStopTokensMax = 64;
inline constexpr size_t kLogitBiasesMax = 1024;
inline constexpr size_t kRequestIdBytesMax = 128;
inline constexpr size_t kModelNameBytesMax = 256;
inline constexpr size_t kChatMessagesMax = 4096;
inline constexpr int64_t kPromptLogprobsMax = 1 << 19;  // of one request, alternatives counted

// What the served model allows, and its defaults.
struct RequestLimits {
  std::string model_name;
  int32_t vocabulary_size = 0;  // rows of the embedding and width of the logits
  int32_t context_length = 0;
  bool has_tokenizer = false;
  int64_t prompt_bytes_max = 0;  // a longer text cannot fit the context, whatever its tokens are
  float temperature = 1;
  float top_p = 1;
  int64_t deadline_ms_max = 0;  // also where the client set none
};

// All that does not need the prompt's token ids. INVALID_ARGUMENT names the field, NOT_FOUND the served model,
// FAILED_PRECONDITION text without a tokenizer, DEADLINE_EXCEEDED a deadline that has passed.
absl::Status ValidateCall(const GenerateCall& call, const RequestLimits& limits);

// The request that a validated call asks for. INVALID_ARGUMENT where prompt and max_tokens do not fit the context.
absl::StatusOr<Request> MakeRequest(GenerateCall call, std::vector<int32_t> prompt_ids, const RequestLimits& limits);

// INVALID_ARGUMENT unless every id is a row of the embedding; `field` is named.
absl::Status CheckTokenIds(const std::vector<int32_t>& ids, int32_t vocabulary_size, const std::string& field);

// INVALID_ARGUMENT with the field in the error's metadata.
absl::Status InvalidField(const std::string& field, const std::string& sentence);

}  // namespace atoll::router
