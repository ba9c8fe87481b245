#include "model/chat/deepseek_formats.h"

namespace atoll::model {
namespace {

constexpr std::string_view kBos = "<｜begin▁of▁sentence｜>";
constexpr std::string_view kEos = "<｜end▁of▁sentence｜>";
constexpr std::string_view kUser = "<｜User｜>";
constexpr std::string_view kAssistant = "<｜Assistant｜>";
constexpr std::string_view kThink = "<think>";
constexpr std::string_view kThinkEnd = "</think>";
constexpr std::string_view kCallsBegin = "<｜tool▁calls▁begin｜>";
constexpr std::string_view kCallsEnd = "<｜tool▁calls▁end｜>";
constexpr std::string_view kCallBegin = "<｜tool▁call▁begin｜>";
constexpr std::string_view kCallEnd = "<｜tool▁call▁end｜>";
constexpr std::string_view kOutputsBegin = "<｜tool▁outputs▁begin｜>";
constexpr std::string_view kOutputsEnd = "<｜tool▁outputs▁end｜>";
constexpr std::string_view kOutputBegin = "<｜tool▁output▁begin｜>";
constexpr std::string_view kOutputEnd = "<｜tool▁output▁end｜>";
constexpr std::string_view kToolSep = "<｜tool▁sep｜>";

// BOS, then all system messages wherever they stand.
void AddSystem(std::span<const ChatMessage> messages, RenderedChat& chat) {
  chat.AddFormat(kBos);
  bool is_first = true;
  for (const ChatMessage& message : messages) {
    if (message.role != "system") continue;
    if (!is_first) chat.AddFormat("\n\n");
    chat.AddMessage(message.content.value_or(""));
    for (const ChatPiece& piece : message.tools) piece.origin == ChatPiece::Origin::kFormat ? chat.AddFormat(piece.text) : chat.AddMessage(piece.text);
    is_first = false;
  }
}

void AddUser(const ChatMessage& message, RenderedChat& chat) {
  chat.AddFormat(kUser);
  chat.AddMessage(*message.content);
}

void AddAnswer(std::string_view content, RenderedChat& chat) {
  chat.AddMessage(content);
  chat.AddFormat(kEos);
}

void AddToolOutput(const ChatMessage& message, RenderedChat& chat) {
  chat.AddFormat(kOutputBegin);
  chat.AddMessage(*message.content);
  chat.AddFormat(kOutputEnd);
}

// V3 and R1 differ in few places and share their loop.
struct V3Family {
  std::string_view name;
  bool closes_calls_once;            // after the last call; else after every call but the first of the conversation
  bool keeps_content_before_calls;
  bool breaks_line_between_outputs;
  bool drops_thinking;               // from earlier answers
  std::string_view generation_prompt;
};

class V3Renderer {
 public:
  explicit V3Renderer(const V3Family& family) : family_(family) {}

  absl::StatusOr<RenderedChat> Run(std::span<const ChatMessage> messages, const ChatOptions& options) {
    AddSystem(messages, chat_);
    for (size_t i = 0; i < messages.size(); ++i) {
      if (!family_.keeps_content_before_calls && messages[i].content && !messages[i].tool_calls.empty()) {
        return absl::InvalidArgumentError(
            absl::StrCat("message ", i, ": the chat format v3 has either a content or tool calls in a message, found both"));
      }
      Add(messages[i]);
    }
    if (after_output_) chat_.AddFormat(kOutputsEnd);
    if (options.add_generation_prompt && !after_output_) chat_.AddFormat(family_.generation_prompt);
    return std::move(chat_);
  }

 private:
  void Add(const ChatMessage& message) {
    if (message.role == "user") {
      after_output_ = false;
      AddUser(message, chat_);
    } else if (message.role == "tool") {
      AddOutput(message);
    } else if (message.role == "assistant") {
      message.tool_calls.empty() ? AddAssistant(*message.content) : AddCalls(message);
    }
  }

  void AddAssistant(std::string_view content) {
    if (after_output_) {
      chat_.AddFormat(kOutputsEnd);
      after_output_ = false;
    } else {
      chat_.AddFormat(kAssistant);
      const size_t thinking_end = family_.drops_thinking ? content.rfind(kThinkEnd) : std::string_view::npos;
      if (thinking_end != std::string_view::npos) content.remove_prefix(thinking_end + kThinkEnd.size());
    }
    AddAnswer(content, chat_);
  }

  void AddCalls(const ChatMessage& message) {
    after_output_ = false;
    for (const ToolCall& call : message.tool_calls) {
      const bool opens = !had_call_;
      had_call_ = true;
      if (opens) {
        chat_.AddFormat(kAssistant);
        chat_.AddMessage(message.content.value_or(""));
        chat_.AddFormat(kCallsBegin);
      } else {
        chat_.AddFormat("\n");
      }
      AddCall(call);
      if (!opens && !family_.closes_calls_once) CloseCalls();
    }
    if (family_.closes_calls_once) CloseCalls();
  }

  void AddCall(const ToolCall& call) {
    chat_.AddFormat(kCallBegin);
    chat_.AddMessage(call.type);
    chat_.AddFormat(kToolSep);
    chat_.AddMessage(call.name);
    chat_.AddFormat("\n```json\n");
    chat_.AddMessage(call.arguments);
    chat_.AddFormat("\n```");
    chat_.AddFormat(kCallEnd);
  }

  void CloseCalls() {
    chat_.AddFormat(kCallsEnd);
    chat_.AddFormat(kEos);
  }

  void AddOutput(const ChatMessage& message) {
    after_output_ = true;
    if (!had_output_) {
      chat_.AddFormat(kOutputsBegin);
    } else if (family_.breaks_line_between_outputs) {
      chat_.AddFormat("\n");
    }
    had_output_ = true;
    AddToolOutput(message, chat_);
  }

  const V3Family& family_;
  RenderedChat chat_;
  bool had_call_ = false;
  bool had_output_ = false;
  bool after_output_ = false;
};

class V3FamilyFormat : public ChatFormat {
 public:
  explicit V3FamilyFormat(const V3Family& family) : family_(family) {}

  std::string_view name() const override { return family_.name; }

  absl::StatusOr<RenderedChat> Render(std::span<const ChatMessage> messages, const ChatOptions& options) const override {
    ATOLL_RETURN_IF_ERROR(CheckMessages(messages));
    return V3Renderer(family_).Run(messages, options);
  }

 private:
  const V3Family family_;
};

class V31Renderer {
 public:
  explicit V31Renderer(const ChatOptions& options) : options_(options) {}

  RenderedChat Run(std::span<const ChatMessage> messages) {
    AddSystem(messages, chat_);
    for (const ChatMessage& message : messages) Add(message);
    if (options_.add_generation_prompt && after_user_) {
      chat_.AddFormat(kAssistant);
      chat_.AddFormat(options_.thinking ? kThink : kThinkEnd);
    }
    return std::move(chat_);
  }

 private:
  void Add(const ChatMessage& message) {
    if (message.role == "user") {
      AddUser(message, chat_);
      after_user_ = true;
      after_output_ = false;
    } else if (message.role == "tool") {
      AddToolOutput(message, chat_);
      after_user_ = false;
      after_output_ = true;
    } else if (message.role == "assistant") {
      message.tool_calls.empty() ? AddAssistant(message) : AddCalls(message);
      after_user_ = false;
      after_output_ = false;
    }
  }

  void AddAssistant(const ChatMessage& message) {
    if (after_user_) {
      chat_.AddFormat(kAssistant);
      chat_.AddFormat(message.prefix && options_.thinking ? kThink : kThinkEnd);
    }
    std::string_view content = *message.content;
    const size_t thinking_end = after_output_ ? std::string_view::npos : content.find(kThinkEnd);
    if (thinking_end != std::string_view::npos) content.remove_prefix(thinking_end + kThinkEnd.size());
    AddAnswer(content, chat_);
  }

  void AddCalls(const ChatMessage& message) {
    if (after_user_) {
      chat_.AddFormat(kAssistant);
      chat_.AddFormat(kThinkEnd);
    }
    chat_.AddMessage(message.content.value_or(""));
    chat_.AddFormat(kCallsBegin);
    for (const ToolCall& call : message.tool_calls) {
      chat_.AddFormat(kCallBegin);
      chat_.AddMessage(call.name);
      chat_.AddFormat(kToolSep);
      chat_.AddMessage(call.arguments);
      chat_.AddFormat(kCallEnd);
    }
    chat_.AddFormat(kCallsEnd);
    chat_.AddFormat(kEos);
  }

  const ChatOptions& options_;
  RenderedChat chat_;
  bool after_user_ = false;
  bool after_output_ = false;
};

class V31Format : public ChatFormat {
 public:
  std::string_view name() const override { return "v3.1"; }

  absl::StatusOr<RenderedChat> Render(std::span<const ChatMessage> messages, const ChatOptions& options) const override {
    ATOLL_RETURN_IF_ERROR(CheckMessages(messages));
    return V31Renderer(options).Run(messages);
  }
};

}  // namespace

std::unique_ptr<const ChatFormat> MakeV3Format() {
  return std::make_unique<const V3FamilyFormat>(V3Family{.name = "v3",
                                                         .closes_calls_once = false,
                                                         .keeps_content_before_calls = false,
                                                         .breaks_line_between_outputs = true,
                                                         .drops_thinking = false,
                                                         .generation_prompt = kAssistant});
}

std::unique_ptr<const ChatFormat> MakeR1Format(R1Release release) {
  const bool is_hub = release == R1Release::kHub;
  return std::make_unique<const V3FamilyFormat>(V3Family{.name = is_hub ? "r1" : "r1-api-docs",
                                                         .closes_calls_once = true,
                                                         .keeps_content_before_calls = true,
                                                         .breaks_line_between_outputs = false,
                                                         .drops_thinking = true,
                                                         .generation_prompt = is_hub ? "<｜Assistant｜><think>\n" : kAssistant});
}

std::unique_ptr<const ChatFormat> MakeV31Format() { return std::make_unique<const V31Format>(); }

}  // namespace atoll::model
