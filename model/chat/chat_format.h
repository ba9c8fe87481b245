#pragma once

// Chat messages to the prompt that the model was trained on (DeepSeek V3, R1, V3.1, or the checkpoint's own simple template).

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/tokenizer/tokenizer.h"

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
};

struct ChatOptions {
  bool add_generation_prompt = true;
  bool thinking = false;  // V3.1 alone looks at it
};

// One stretch of a rendering: text of the format itself, whose control tokens count, or text that came in a message.
struct ChatPiece {
  enum class Origin { kFormat, kMessage };
  Origin origin;
  std::string text;
};

// The rendering holds its own BOS: never encode it as a prompt that gets another one.
class RenderedChat {
 public:
  explicit RenderedChat(std::vector<ChatPiece> pieces) : pieces_(std::move(pieces)) {}

  // What Hugging Face's apply_chat_template prints for the same messages.
  std::string Text() const;

  // kPlainText: no message can bring a control token in. kMatch: ids as Hugging Face encodes Text().
  // Equal wherever no message holds an added token's content. INVALID_ARGUMENT where a message is not UTF-8.
  absl::StatusOr<std::vector<int32_t>> Encode(const Tokenizer& tokenizer, AddedTokens in_messages) const;

  const std::vector<ChatPiece>& pieces() const { return pieces_; }

 private:
  std::vector<ChatPiece> pieces_;
};

// Immutable; any thread may call it.
class ChatFormat {
 public:
  virtual ~ChatFormat() = default;

  // "v3", "r1", "r1-api-docs", "v3.1", or "template" for a simple template of the checkpoint's own.
  virtual std::string_view name() const = 0;

  // INVALID_ARGUMENT names the message: a role that the format does not know, a missing content, tool calls where the
  // format has none.
  virtual absl::StatusOr<RenderedChat> Render(std::span<const ChatMessage> messages, const ChatOptions& options) const = 0;
};

// The format of the tokenizer's chat_template: a known release's text, or a template as simple as a loop over messages.
// FAILED_PRECONDITION: there is no template, or it is neither (the message names the first construct that is not known).
absl::StatusOr<std::unique_ptr<const ChatFormat>> ChatFormatOf(const TokenizerConfig& config);

// One of the built-in formats by name(). INVALID_ARGUMENT for another name; the message lists the known ones.
absl::StatusOr<std::unique_ptr<const ChatFormat>> ChatFormatByName(std::string_view name);

}  // namespace atoll::model
