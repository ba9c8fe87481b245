#pragma once

// Chat messages to the prompt that the model was trained on (DeepSeek V3, R1, V3.1, or the checkpoint's own simple template).

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/chat/rendered_chat.h"
#include "model/tokenizer/json/tokenizer_config.h"

namespace atoll::model {

struct ToolCall {
  std::string type = "function";
  std::string name;
  std::string arguments;  // JSON text, rendered as it is
};

struct ChatMessage {
  std::string role;                    // system, user, assistant or tool
  std::optional<std::string> content;  // may be absent only beside tool_calls
  std::vector<ToolCall> tool_calls;    // of an assistant
  bool prefix = false;                 // V3.1: an assistant message that begins inside <think>
  std::vector<ChatPiece> tools = {};   // of a system message: what stands after its content (tool_prompt.h)
};

struct ChatOptions {
  bool add_generation_prompt = true;
  bool thinking = false;  // V3.1 looks at it, and a template that names the variable
};

// Immutable; any thread may call it.
class ChatFormat {
 public:
  virtual ~ChatFormat() = default;

  // "v3", "r1", "r1-api-docs", "v3.1", or "template" for the checkpoint's own.
  virtual std::string_view name() const = 0;

  // INVALID_ARGUMENT names the message: a role that is not known, a missing content, tool calls where the format has no place
  // for them; or says what the template itself objects to.
  virtual absl::StatusOr<RenderedChat> Render(std::span<const ChatMessage> messages, const ChatOptions& options) const = 0;
};

// The format that config.chat_template describes: it is interpreted, in the subset of Jinja that DeepSeek's releases and simpler
// templates are written in. FAILED_PRECONDITION: there is no template, or it uses something else, which the message names.
absl::StatusOr<std::unique_ptr<const ChatFormat>> ChatFormatOf(const TokenizerConfig& config);

// One of the built-in formats by name(), for a checkpoint without a template. INVALID_ARGUMENT for another name; the message
// lists the known ones.
absl::StatusOr<std::unique_ptr<const ChatFormat>> ChatFormatByName(std::string_view name);

// What every format asks of messages: a known role, a content (or tool calls in its place), tool calls of an assistant only.
absl::Status CheckMessages(std::span<const ChatMessage> messages);

}  // namespace atoll::model
