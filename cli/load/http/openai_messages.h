#pragma once

// Requests and answers of an OpenAI-compatible server, as far as a load test needs them. What comes is hostile until checked.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "cli/load/plan/prompt.h"
#include "cli/load/result/record.h"

namespace atoll::load {

struct HttpRequestText {
  std::string path, body;
};

// A streamed completion or chat completion that reports its usage in every chunk.
HttpRequestText StreamRequest(const LoadCall& call, const std::string& model);

// Of POST /tokenize: the text's own tokens, without BOS.
std::string TokenizeBody(const std::string& text);

// Puts the events of one stream together. Thread-compatible.
class StreamAnswer {
 public:
  // Tokens that this event brings; what is no JSON, or an error in the stream, is kept for End.
  int64_t OnEvent(std::string_view data);
  // After the last byte.
  CallEnd End() const;

 private:
  int64_t TokensOf(bool has_text, std::optional<int64_t> counted);

  int64_t tokens_ = 0, prompt_tokens_ = 0, completion_tokens_ = 0;
  bool has_usage_ = false, done_ = false;
  std::string error_, error_code_;
};

// The end of a call that was answered with another status than 200.
CallEnd RefusedEnd(unsigned status, std::string_view body);

// "tokens" of POST /tokenize; the first "id" of GET /v1/models.
absl::StatusOr<std::vector<int32_t>> TokensOf(std::string_view body);
absl::StatusOr<std::string> ModelOf(std::string_view body);

}  // namespace atoll::load
