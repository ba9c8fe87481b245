#include "router/http/api/answer_text.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "base/utf8.h"
#include "router/http/json/json_write.h"

namespace atoll::router::http {
namespace {

const char* ObjectName(const AnswerOptions& options) {
  if (options.kind == AnswerKind::kCompletion) return "text_completion";
  return options.stream ? "chat.completion.chunk" : "chat.completion";
}

void AppendUsage(const AnswerUsage& usage, std::string& out) {
  out += "{\"prompt_tokens\":";
  AppendJsonInt(usage.prompt_tokens, out);
  out += ",\"completion_tokens\":";
  AppendJsonInt(usage.completion_tokens, out);
  out += ",\"total_tokens\":";
  AppendJsonInt(usage.prompt_tokens + usage.completion_tokens, out);
  out += '}';
}

// `append` for each entry, commas between.
template <typename Entries, typename Append>
void AppendList(const Entries& entries, std::string& out, const Append& append) {
  out += '[';
  bool first = true;
  for (const auto& entry : entries) {
    if (!std::exchange(first, false)) out += ',';
    append(entry);
  }
  out += ']';
}

void AppendFinish(const AnswerChoice& choice, std::string& out) {
  out += ",\"finish_reason\":";
  if (!choice.finish) out += "null";
  else if (*choice.finish == FinishReason::kLength) out += "\"length\"";
  else out += choice.called ? "\"tool_calls\"" : "\"stop\"";
  if (!choice.finish) return;
  out += ",\"stop_reason\":";
  if (!choice.stop_string.empty()) {
    AppendJsonString(choice.stop_string, out);
  } else if (choice.stop_token) {
    AppendJsonInt(*choice.stop_token, out);
  } else {
    out += "null";
  }
}

}  // namespace

int64_t CountCharacters(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

AnswerText::AnswerText(const AnswerOptions& options, const AnswerFacts& facts, const model::Tokenizer* tokenizer)
    : options_(options), tokenizer_(tokenizer), call_ids_("call_" + facts.id.substr(facts.id.rfind('-') + 1) + "_") {
  head_ = "{\"id\":";
  AppendJsonString(facts.id, head_);
  head_.append(",\"object\":\"").append(ObjectName(options)).append("\",\"created\":");
  AppendJsonInt(facts.created_s, head_);
  head_ += ",\"model\":";
  AppendJsonString(facts.model, head_);
  head_ += ",\"system_fingerprint\":";
  AppendJsonString(facts.fingerprint, head_);
  head_ += ",\"choices\":[";
}

void AnswerText::AppendEvent(const AnswerChoice& choice, const AnswerUsage& usage_so_far, std::string& out) const {
  out.append("data: ").append(head_);
  AppendChoice(choice, true, out);
  out += ']';
  if (options_.continuous_usage) {
    out += ",\"usage\":";
    AppendUsage(usage_so_far, out);
  } else if (options_.include_usage) {
    out += ",\"usage\":null";
  }
  out += "}\n\n";
}

void AnswerText::AppendEnd(const AnswerUsage& usage, std::string& out) const {
  if (options_.include_usage) {
    out.append("data: ").append(head_).append("],\"usage\":");
    AppendUsage(usage, out);
    out += "}\n\n";
  }
  out += "data: [DONE]\n\n";
}

std::string AnswerText::ErrorEvent(std::string_view error_json) {
  return std::string("data: ").append(error_json).append("\n\n");
}

std::string AnswerText::Whole(std::span<const AnswerChoice> choices, const AnswerUsage& usage) const {
  std::string out = head_;
  for (size_t i = 0; i < choices.size(); ++i) {
    if (i > 0) out += ',';
    AppendChoice(choices[i], false, out);
  }
  out += "],\"usage\":";
  AppendUsage(usage, out);
  return out += '}';
}

void AnswerText::AppendChoice(const AnswerChoice& choice, bool in_event, std::string& out) const {
  out += "{\"index\":";
  AppendJsonInt(choice.index, out);
  AppendContent(choice, in_event, out);
  out += ",\"logprobs\":";
  AppendLogprobs(choice, out);
  if (options_.return_token_ids) {
    out += ",\"token_ids\":";
    AppendList(choice.tokens, out, [&](const SampledToken& token) { AppendJsonInt(token.token_id, out); });
  }
  AppendFinish(choice, out);
  out += '}';
}

void AnswerText::AppendContent(const AnswerChoice& choice, bool in_event, std::string& out) const {
  if (options_.kind == AnswerKind::kCompletion) {
    out += ",\"text\":";
    return AppendJsonString(choice.text, out);
  }
  out += in_event ? ",\"delta\":{" : ",\"message\":{";
  const char* separator = "";
  if (choice.first) {
    out += "\"role\":\"assistant\"";
    separator = ",";
  }
  if (!choice.reasoning.empty()) {
    out.append(separator).append("\"reasoning_content\":");
    AppendJsonString(choice.reasoning, out);
    separator = ",";
  }
  if (!choice.text.empty() || !in_event || (choice.first && choice.reasoning.empty())) {
    out.append(separator).append("\"content\":");
    if (choice.text.empty() && !choice.calls.empty()) out += "null";
    else AppendJsonString(choice.text, out);
    separator = ",";
  }
  if (!choice.calls.empty()) {
    out += separator;
    AppendCalls(choice, in_event, out);
  }
  if (!in_event) out += ",\"refusal\":null";
  out += '}';
}

// The id and the name stand where a call begins.
void AnswerText::AppendCalls(const AnswerChoice& choice, bool in_event, std::string& out) const {
  out += "\"tool_calls\":";
  AppendList(choice.calls, out, [&](const model::ToolCallPiece& call) {
    out += '{';
    if (in_event) {
      out += "\"index\":";
      AppendJsonInt(call.index, out);
      out += ',';
    }
    if (!call.name.empty()) {
      out.append("\"id\":\"").append(call_ids_);
      AppendJsonInt(choice.index, out);
      out += '_';
      AppendJsonInt(call.index, out);
      out += "\",\"type\":\"function\",";
    }
    out += "\"function\":{";
    if (!call.name.empty()) {
      out += "\"name\":";
      AppendJsonString(call.name, out);
      out += ',';
    }
    out += "\"arguments\":";
    AppendJsonString(call.arguments, out);
    out += "}}";
  });
}

void AnswerText::AppendLogprobs(const AnswerChoice& choice, std::string& out) const {
  if (!options_.logprobs) {
    out += "null";
  } else if (options_.kind == AnswerKind::kCompletion) {
    AppendCompletionLogprobs(choice, out);
  } else {
    AppendChatLogprobs(choice, out);
  }
}

void AnswerText::AppendCompletionLogprobs(const AnswerChoice& choice, std::string& out) const {
  out += "{\"tokens\":";
  AppendList(choice.tokens, out, [&](const SampledToken& token) { AppendJsonString(TokenText(token.token_id), out); });
  out += ",\"token_logprobs\":";
  AppendList(choice.tokens, out, [&](const SampledToken& token) {
    if (std::isnan(token.logprob)) out += "null";
    else AppendJsonFloat(token.logprob, out);
  });
  out += ",\"top_logprobs\":";
  AppendList(choice.tokens, out, [&](const SampledToken& token) { AppendTopLogprobs(token, out); });
  out += ",\"text_offset\":";
  int64_t offset = choice.text_offset;
  AppendList(choice.tokens, out, [&](const SampledToken& token) {
    AppendJsonInt(offset, out);
    if (tokenizer_ != nullptr) offset += CountCharacters(tokenizer_->TokenBytes(token.token_id));
  });
  out += '}';
}

// An object by token text, the sampled token in it whether it is among the most probable ones or not.
void AnswerText::AppendTopLogprobs(const SampledToken& token, std::string& out) const {
  if (std::isnan(token.logprob)) {
    out += "null";
    return;
  }
  out += '{';
  bool sampled = false;
  std::vector<std::string> said;
  const auto append = [&](int32_t id, float logprob) {
    std::string text = TokenText(id);
    if (std::find(said.begin(), said.end(), text) != said.end()) return;
    if (!said.empty()) out += ',';
    AppendJsonString(text, out);
    out += ':';
    AppendJsonFloat(logprob, out);
    said.push_back(std::move(text));
  };
  for (const TokenLogprob& top : token.top) {
    append(top.token_id, top.logprob);
    sampled |= top.token_id == token.token_id;
  }
  if (!sampled) append(token.token_id, token.logprob);
  out += '}';
}

void AnswerText::AppendChatLogprobs(const AnswerChoice& choice, std::string& out) const {
  out += "{\"content\":";
  AppendList(choice.tokens, out, [&](const SampledToken& token) {
    AppendChatToken(token.token_id, token.logprob, out);
    out += ",\"top_logprobs\":";
    AppendList(token.top, out, [&](const TokenLogprob& top) {
      AppendChatToken(top.token_id, top.logprob, out);
      out += '}';
    });
    out += '}';
  });
  out += ",\"refusal\":null}";
}

// Leaves the object open.
void AnswerText::AppendChatToken(int32_t token_id, float logprob, std::string& out) const {
  const std::string_view bytes = tokenizer_ == nullptr ? std::string_view() : tokenizer_->TokenBytes(token_id);
  out += "{\"token\":";
  AppendJsonString(tokenizer_ == nullptr ? TokenText(token_id) : std::string(bytes), out);
  out += ",\"logprob\":";
  AppendJsonFloat(logprob, out);
  out += ",\"bytes\":";
  AppendList(bytes, out, [&](char byte) { AppendJsonInt(static_cast<unsigned char>(byte), out); });
}

// As OpenAI writes tokens where a string must tell them apart: bytes that are no text by their values.
std::string AnswerText::TokenText(int32_t token_id) const {
  if (tokenizer_ == nullptr || !tokenizer_->HasToken(token_id)) return "token_id:" + std::to_string(token_id);
  const std::string_view bytes = tokenizer_->TokenBytes(token_id);
  if (FirstInvalidUtf8(bytes) == bytes.size()) return std::string(bytes);
  std::string text = "bytes:";
  for (const char byte : bytes) text += absl::StrFormat("\\x%02x", static_cast<unsigned char>(byte));
  return text;
}

}  // namespace atoll::router::http
