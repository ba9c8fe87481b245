#include "model/chat/template_format.h"

#include <utility>

#include "model/chat/jinja/evaluator.h"
#include "model/chat/jinja/parser.h"

namespace atoll::model {
namespace {

using jinja::Map;
using jinja::Origin;
using jinja::Value;

Value Data(std::string_view text) { return Value::Of(jinja::Text::Of(text, Origin::kData)); }

Value ControlToken(const std::optional<std::string>& content) {
  return content ? Value::Of(jinja::Text::Of(*content, Origin::kTemplate)) : Value();
}

Value ToolCallValue(const ToolCall& call) {
  Map function{{"name", Data(call.name)}, {"arguments", Data(call.arguments)}};
  return Value::Of(Map{{"type", Data(call.type)}, {"function", Value::Of(std::move(function))}});
}

Value ContentValue(const ChatMessage& message) {
  if (!message.content) return Value::OfNone();
  jinja::Text text = jinja::Text::Of(*message.content, Origin::kData);
  for (const ChatPiece& piece : message.tools) {
    text.Append(jinja::Text::Of(piece.text, piece.origin == ChatPiece::Origin::kFormat ? Origin::kTemplate : Origin::kData));
  }
  return Value::Of(std::move(text));
}

// Fields as an OpenAI client sends them: one that says nothing is absent, a content that is absent is none.
Value MessageValue(const ChatMessage& message) {
  Map fields{{"role", Data(message.role)}, {"content", ContentValue(message)}};
  if (!message.tool_calls.empty()) {
    jinja::List calls;
    for (const ToolCall& call : message.tool_calls) calls.push_back(ToolCallValue(call));
    fields.emplace_back("tool_calls", Value::Of(std::move(calls)));
  }
  if (message.prefix) fields.emplace_back("prefix", Value::Of(true));
  return Value::Of(std::move(fields));
}

RenderedChat ToRenderedChat(const jinja::Text& text) {
  RenderedChat chat;
  for (size_t begin = 0, end = 0; begin < text.bytes.size(); begin = end) {
    end = text.origins.find_first_not_of(text.origins[begin], begin);
    if (end == std::string::npos) end = text.bytes.size();
    const std::string_view stretch = std::string_view(text.bytes).substr(begin, end - begin);
    text.origins[begin] == static_cast<char>(Origin::kTemplate) ? chat.AddFormat(stretch) : chat.AddMessage(stretch);
  }
  return chat;
}

// A template passes over what it has no branch for; a tool's result that the model never sees would be a wrong answer's cause.
absl::Status CheckNoToolLost(std::span<const ChatMessage> messages, const std::string& rendered) {
  for (size_t i = 0; i < messages.size(); ++i) {
    bool is_lost = messages[i].role == "tool" && rendered.find(*messages[i].content) == std::string::npos;
    for (const ChatPiece& piece : messages[i].tools) is_lost = is_lost || rendered.find(piece.text) == std::string::npos;
    for (const ToolCall& call : messages[i].tool_calls) is_lost = is_lost || rendered.find(call.name) == std::string::npos;
    if (!is_lost) continue;
    return absl::InvalidArgumentError(absl::StrCat("message ", i, ": the checkpoint's chat_template has no place for tools"));
  }
  return absl::OkStatus();
}

class TemplateFormat : public ChatFormat {
 public:
  TemplateFormat(jinja::Body body, const TokenizerConfig& config)
      : body_(std::move(body)), bos_token_(ControlToken(config.bos_token)), eos_token_(ControlToken(config.eos_token)) {}

  std::string_view name() const override { return "template"; }

  absl::StatusOr<RenderedChat> Render(std::span<const ChatMessage> messages, const ChatOptions& options) const override {
    ATOLL_RETURN_IF_ERROR(CheckMessages(messages));
    jinja::List values;
    for (const ChatMessage& message : messages) values.push_back(MessageValue(message));
    const Map globals{{"messages", Value::Of(std::move(values))},
                      {"bos_token", bos_token_},
                      {"eos_token", eos_token_},
                      {"add_generation_prompt", Value::Of(options.add_generation_prompt)},
                      {"thinking", Value::Of(options.thinking)}};
    ATOLL_ASSIGN_OR_RETURN(const jinja::Text text, jinja::Render(body_, globals, {}));
    ATOLL_RETURN_IF_ERROR(CheckNoToolLost(messages, text.bytes));
    return ToRenderedChat(text);
  }

 private:
  const jinja::Body body_;
  const Value bos_token_;
  const Value eos_token_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<const ChatFormat>> MakeTemplateFormat(const TokenizerConfig& config) {
  absl::StatusOr<jinja::Body> body = jinja::ParseTemplate(*config.chat_template);
  if (!body.ok()) return absl::FailedPreconditionError(body.status().message());
  return std::make_unique<const TemplateFormat>(*std::move(body), config);
}

}  // namespace atoll::model
