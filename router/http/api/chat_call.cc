// The body of /v1/chat/completions.

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "router/http/api/api_call.h"
#include "router/http/api/shared_fields.h"
#include "router/http/api/tool_fields.h"
#include "router/request/validation.h"

namespace atoll::router::http {
namespace {

// The text of a content that is a list of parts. Nothing is fetched for anybody: a URL or a file is refused.
std::string ReadParts(const Json& parts, JsonFields& message) {
  std::string text;
  size_t index = 0;
  for (const Json& part : parts) {
    JsonFields fields(part, absl::StrCat(message.PathOf("content"), "[", index, "]"));
    const std::string type = fields.Text("type").value_or("");
    if (type != "text") fields.Refuse("type", "only parts of type \"text\" are supported; nothing is fetched, no image or file is read");
    if (index++ > 0) text += '\n';
    text += fields.Text("text").value_or("");
    if (fields.Any("text") == nullptr) fields.Fail("text", "must be given");
    message.Merge(fields.status());
    if (!message.status().ok()) break;
  }
  return text;
}

std::optional<std::string> ReadContent(JsonFields& message) {
  const Json* content = message.Any("content");
  if (content == nullptr) return std::nullopt;
  if (content->is_array()) return ReadParts(*content, message);
  return message.Text("content");
}

std::vector<model::ToolCall> ReadToolCalls(JsonFields& message) {
  std::vector<model::ToolCall> calls;
  const Json* list = message.Array("tool_calls");
  for (const Json& entry : list == nullptr ? Json::array() : *list) {
    JsonFields fields(entry, absl::StrCat(message.PathOf("tool_calls"), "[", calls.size(), "]"));
    model::ToolCall& call = calls.emplace_back();
    call.type = fields.Text("type").value_or("function");
    const Json* function = fields.Object("function");
    if (function == nullptr) {
      fields.Fail("function", "must be given");
    } else {
      JsonFields inner(*function, fields.PathOf("function"));
      call.name = inner.Text("name").value_or("");
      call.arguments = inner.Text("arguments").value_or("");
      if (call.name.empty()) inner.Fail("name", "must be given");
      fields.Merge(inner.status());
    }
    message.Merge(fields.status());
    if (!message.status().ok()) break;
  }
  return calls;
}

model::ChatMessage ReadMessage(const Json& value, size_t index, JsonFields& chat) {
  JsonFields fields(value, absl::StrCat("messages[", index, "]"));
  model::ChatMessage message;
  message.role = fields.Text("role").value_or("");
  if (message.role == "developer") message.role = "system";
  if (message.role != "system" && message.role != "user" && message.role != "assistant" && message.role != "tool") {
    fields.Fail("role", "expected system, developer, user, assistant or tool");
  }
  message.content = ReadContent(fields);
  message.tool_calls = ReadToolCalls(fields);
  // Clients write an empty content beside calls where they mean none.
  if (!message.tool_calls.empty() && message.content == "") message.content.reset();
  if (!message.content && message.tool_calls.empty()) fields.Fail("content", "must be given, except beside tool_calls");
  chat.Merge(fields.status());
  return message;
}

std::optional<bool> ReadThinking(JsonFields& chat) {
  const Json* kwargs = chat.Object("chat_template_kwargs");
  if (kwargs == nullptr) return std::nullopt;
  JsonFields fields(*kwargs, "chat_template_kwargs");
  const std::optional<bool> thinking = fields.Bool("thinking");
  for (const std::string& unknown : fields.Unknown()) {
    fields.Refuse(unknown.substr(unknown.rfind('.') + 1), "is not supported; only thinking is");
  }
  chat.Merge(fields.status());
  return thinking;
}

void RefuseUnsupportedOfChat(JsonFields& fields) {
  const Json* functions = fields.Any("functions");
  if (functions != nullptr && !functions->empty()) fields.Refuse("functions", "is not supported; send tools");
  const Json* function_call = fields.Any("function_call");
  if (function_call != nullptr && *function_call != "none" && *function_call != "auto") fields.Refuse("function_call", "is not supported; send tool_choice");
  const Json* modalities = fields.Any("modalities");
  if (modalities != nullptr && *modalities != Json::array({"text"})) fields.Refuse("modalities", "only [\"text\"] is supported here");
  for (const char* name : {"audio", "prediction", "web_search_options", "documents", "reasoning_effort", "thinking"}) {
    if (fields.Any(name) != nullptr) fields.Refuse(name, "is not supported here; leave it out");
  }
  if (fields.Bool("echo").value_or(false)) fields.Refuse("echo", "is supported by /v1/completions alone");
  if (!fields.Bool("add_generation_prompt").value_or(true)) fields.Refuse("add_generation_prompt", "must be true");
  if (fields.Bool("add_special_tokens").value_or(false)) fields.Refuse("add_special_tokens", "must be false: the chat format brings its own BOS");
}

std::optional<int32_t> ReadLogprobs(JsonFields& fields) {
  const bool logprobs = fields.Bool("logprobs").value_or(false);
  const std::optional<int64_t> top = fields.Int("top_logprobs");
  if (top && (*top < 0 || *top > kLogprobsMax)) fields.Fail("top_logprobs", absl::StrCat("must be in [0, ", kLogprobsMax, "], found ", *top));
  if (top.value_or(0) > 0 && !logprobs) fields.Fail("top_logprobs", "needs logprobs: true");
  return logprobs ? std::optional<int32_t>(static_cast<int32_t>(top.value_or(0))) : std::nullopt;
}

}  // namespace

absl::StatusOr<ChatPrompt> ReadChatPrompt(JsonFields& fields, std::string_view text) {
  ChatPrompt chat;
  chat.tool_use = ReadToolUse(fields, text);
  chat.thinking = ReadThinking(fields);
  const Json* messages = fields.Array("messages");
  if (messages == nullptr) fields.Fail("messages", "must be given");
  ATOLL_RETURN_IF_ERROR(fields.status());
  if (messages->size() > kChatMessagesMax) {
    return InvalidField("messages", absl::StrCat("may have ", kChatMessagesMax, " entries at most, found ", messages->size()));
  }
  for (const Json& message : *messages) {
    chat.messages.push_back(ReadMessage(message, chat.messages.size(), fields));
    ATOLL_RETURN_IF_ERROR(fields.status());
  }
  return chat;
}

absl::StatusOr<ApiCall> ReadChatCall(const Json& body, std::string_view text) {
  JsonFields fields(body, "");
  ApiCall api;
  api.answer.kind = AnswerKind::kChat;
  GenerateCall call = ReadCall(fields, text);
  ReadAnswer(fields, api.answer);
  call.logprobs = api.answer.logprobs = ReadLogprobs(fields);
  RefuseUnsupportedOfChat(fields);
  ATOLL_RETURN_IF_ERROR(fields.status());
  ATOLL_ASSIGN_OR_RETURN(call.input, ReadChatPrompt(fields, text));
  api.calls.push_back(std::move(call));
  api.unknown = fields.Unknown();
  return api;
}

}  // namespace atoll::router::http
