#pragma once

// What a generation's answer says, byte by byte: server-sent events and whole answers of completions and chats.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/chat/tool_call_reader.h"
#include "model/tokenizer/tokenizer.h"
#include "router/http/api/api_call.h"
#include "router/request/choice_stream.h"

namespace atoll::router::http {

// The same in every event of an answer.
struct AnswerFacts {
  std::string id;
  std::string model;
  std::string fingerprint;
  int64_t created_s = 0;
};

struct AnswerUsage {
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
};

// A choice, or what an event brings of it.
struct AnswerChoice {
  int32_t index = 0;
  std::string_view text = {};
  std::string_view reasoning = {};  // of a chat whose model thinks aloud; comes before the text
  std::span<const model::ToolCallPiece> calls = {};  // of a chat with tools; come after the text. Whole: each in one piece
  bool called = false;                               // a tool was called, in this or before
  std::span<const SampledToken> tokens = {};  // a log-probability that nobody knows is NaN
  std::optional<FinishReason> finish = {};
  std::string_view stop_string = {};       // that ended it
  std::optional<int32_t> stop_token = {};  // that ended it, where the request named it
  bool first = true;                       // nothing of it was said before
  int64_t text_offset = 0;                 // characters of the choice's text before its tokens
};

// Immutable; any thread may call it.
class AnswerText {
 public:
  // `tokenizer` may be null and outlives this.
  AnswerText(const AnswerOptions& options, const AnswerFacts& facts, const model::Tokenizer* tokenizer);

  const AnswerOptions& options() const { return options_; }

  // "data: {...}\n\n"
  void AppendEvent(const AnswerChoice& choice, const AnswerUsage& usage_so_far, std::string& out) const;
  // The end of a stream: usage where it is wanted, then [DONE].
  void AppendEnd(const AnswerUsage& usage, std::string& out) const;
  // "data: {"error":...}\n\n"
  static std::string ErrorEvent(std::string_view error_json);

  std::string Whole(std::span<const AnswerChoice> choices, const AnswerUsage& usage) const;

 private:
  void AppendChoice(const AnswerChoice& choice, bool in_event, std::string& out) const;
  void AppendContent(const AnswerChoice& choice, bool in_event, std::string& out) const;
  void AppendCalls(const AnswerChoice& choice, bool in_event, std::string& out) const;
  void AppendLogprobs(const AnswerChoice& choice, std::string& out) const;
  void AppendCompletionLogprobs(const AnswerChoice& choice, std::string& out) const;
  void AppendChatLogprobs(const AnswerChoice& choice, std::string& out) const;
  void AppendTopLogprobs(const SampledToken& token, std::string& out) const;
  void AppendChatToken(int32_t token_id, float logprob, std::string& out) const;
  std::string TokenText(int32_t token_id) const;

  const AnswerOptions options_;
  const model::Tokenizer* const tokenizer_;
  std::string head_;      // of every object, up to its choices
  std::string call_ids_;  // what the ids of calls begin with
};

// Characters of UTF-8 text, whole or not: bytes that begin one.
int64_t CountCharacters(std::string_view text);

}  // namespace atoll::router::http
