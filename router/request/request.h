#pragma once

// A request as a client sent it, and as it is once every field has been checked and has its default. Plain values.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "model/chat/chat_format.h"
#include "model/chat/tool_prompt.h"
#include "model/grammar/constraint.h"
#include "router/request/request_trace.h"

namespace atoll::router {

struct TextPrompt {
  std::string text;
};

enum class ToolChoice { kNone, kAuto, kRequired, kNamed };

// Tools that the model may call, or has to.
struct ToolUse {
  std::vector<model::Tool> tools;
  ToolChoice choice = ToolChoice::kNone;
  std::string named;          // of kNamed
  bool parallel = true;       // more than one call in an answer

  bool offered() const { return choice != ToolChoice::kNone && !tools.empty(); }
};

struct ChatPrompt {
  std::vector<model::ChatMessage> messages;
  std::optional<bool> thinking;
  ToolUse tool_use = {};
};

using TokenPrompt = std::vector<int32_t>;

// Absent fields take defaults. Ranges: proto/atoll/v1/inference.proto.
struct SamplingCall {
  std::optional<float> temperature;
  std::optional<float> top_p;
  std::optional<int32_t> top_k;
  std::optional<float> min_p;
  std::optional<float> presence_penalty;
  std::optional<float> frequency_penalty;
  std::optional<float> repetition_penalty;
  std::vector<std::pair<int32_t, float>> logit_bias;
  std::optional<uint64_t> seed;
};

struct StoppingCall {
  std::optional<int64_t> max_tokens;
  std::optional<int64_t> min_tokens;
  std::vector<std::string> stop;
  std::vector<int32_t> stop_token_ids;
  bool ignore_eos = false;
  bool include_stop_string = false;  // the text ends with the match, not before it
  bool keep_special_tokens = false;  // they leave their content in the text
};

struct GenerateCall {
  std::string request_id;  // empty: the router mints one
  std::string model;       // empty: the served one
  std::variant<std::monostate, TextPrompt, TokenPrompt, ChatPrompt> input;
  SamplingCall sampling;
  StoppingCall stopping;
  std::optional<int32_t> n;
  std::optional<int32_t> logprobs;
  bool prompt_logprobs = false;        // of the prompt's tokens too; needs logprobs
  std::optional<int64_t> deadline_ms;  // that are left; nothing: the client set none
  std::optional<model::Constraint> constraint;  // of the generated text
  RequestTrace trace;
};

// Every field set and in range.
struct Sampling {
  float temperature = 1;
  float top_p = 1;
  int32_t top_k = 0;
  float min_p = 0;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  float repetition_penalty = 1;
  std::map<int32_t, float> logit_bias;
  uint64_t seed = 0;
};

// What all sequences of a request have in common.
struct Request {
  std::string request_id;
  int32_t n = 1;
  std::vector<int32_t> prompt_ids;
  Sampling sampling;
  int32_t max_tokens = 0;
  int32_t min_tokens = 0;
  std::vector<std::string> stop;
  std::vector<int32_t> stop_token_ids;
  bool ignore_eos = false;
  bool include_stop_string = false;
  bool keep_special_tokens = false;
  int32_t logprobs = -1;  // alternatives per token; -1: none asked for
  bool prompt_logprobs = false;
  int64_t deadline_ms = 0;  // from admission on
  std::optional<model::Constraint> constraint;
  RequestTrace trace;
  bool chat = false;        // it came as a chat
  bool probe = false;       // the router's own
};

}  // namespace atoll::router
