#include "model/chat/chat_format.h"

#include "model/chat/deepseek_formats.h"
#include "model/chat/template_format.h"

namespace atoll::model {

absl::StatusOr<std::unique_ptr<const ChatFormat>> ChatFormatOf(const TokenizerConfig& config) {
  if (config.chat_template) return MakeTemplateFormat(config);
  return absl::FailedPreconditionError("the checkpoint has no chat_template: send text or token ids, or name a chat format");
}

absl::StatusOr<std::unique_ptr<const ChatFormat>> ChatFormatByName(std::string_view name) {
  if (name == "v3") return MakeV3Format();
  if (name == "r1") return MakeR1Format(R1Release::kHub);
  if (name == "r1-api-docs") return MakeR1Format(R1Release::kApiDocs);
  if (name == "v3.1") return MakeV31Format();
  return absl::InvalidArgumentError(
      absl::StrCat("chat format: expected v3, r1, r1-api-docs or v3.1, found \"", std::string(name.substr(0, 40)), "\""));
}

absl::Status CheckMessages(std::span<const ChatMessage> messages) {
  for (size_t i = 0; i < messages.size(); ++i) {
    const ChatMessage& message = messages[i];
    const auto refused = [i](const std::string& reason) {
      return absl::InvalidArgumentError(absl::StrCat("message ", i, ": ", reason));
    };
    const bool is_assistant = message.role == "assistant";
    if (!is_assistant && message.role != "system" && message.role != "user" && message.role != "tool") {
      return refused(absl::StrCat("role: expected system, user, assistant or tool, found \"", message.role.substr(0, 40), "\""));
    }
    if (!is_assistant && !message.tool_calls.empty()) return refused("tool calls: expected only in an assistant's message");
    if (!message.content && message.tool_calls.empty()) return refused("content: expected a text, found none");
  }
  return absl::OkStatus();
}

}  // namespace atoll::model
