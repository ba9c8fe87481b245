#include "model/chat/tool_prompt.h"

#include <algorithm>

#include "model/grammar/tool_call_tags.h"

namespace atoll::model {
namespace {

class ToolPrompt {
 public:
  std::vector<ChatPiece> Write(std::span<const Tool> tools, ToolCallStyle style) {
    Say("## Tools\nYou have access to the following tools:\n");
    for (const Tool& tool : tools) {
      Say("\n### ");
      Quote(tool.name);
      Say("\nDescription: ");
      Quote(tool.description);
      Say("\n\nParameters: ");
      Quote(tool.parameters.empty() ? "{}" : tool.parameters);
      Say("\n");
    }
    Say("\nIMPORTANT: ALWAYS adhere to this exact format for tool use:\n");
    style == ToolCallStyle::kDeepSeekV3 ? SayFormOfV3() : SayFormOfV31();
    return std::move(pieces_);
  }

 private:
  void Say(std::string_view text) { Add(ChatPiece::Origin::kFormat, text); }
  void Quote(std::string_view text) { Add(ChatPiece::Origin::kMessage, text); }
  void Add(ChatPiece::Origin origin, std::string_view text) {
    if (!text.empty()) pieces_.push_back({origin, std::string(text)});
  }

  void SayFormOfV31() {
    for (const std::string_view part : {kToolCallsBegin, kToolCallBegin, std::string_view("tool_call_name"), kToolSeparator, std::string_view("tool_call_arguments"),
                                        kToolCallEnd, std::string_view("{additional_tool_calls}"), kToolCallsEnd}) {
      Say(part);
    }
    SayRules("- For multiple tool calls, chain them directly without separators or spaces");
  }

  void SayFormOfV3() {
    for (const std::string_view part : {kToolCallsBegin, kToolCallBegin, kToolCallType, kToolSeparator, std::string_view("tool_call_name"), kArgumentsBegin,
                                        std::string_view("tool_call_arguments"), kArgumentsEnd, kToolCallEnd, std::string_view("{additional_tool_calls}"), kToolCallsEnd}) {
      Say(part);
    }
    SayRules("- For multiple tool calls, chain them with one newline between");
  }

  void SayRules(std::string_view last) {
    Say("\n\nWhere:\n\n- `tool_call_name` must be an exact match to one of the available tools\n"
        "- `tool_call_arguments` must be valid JSON that strictly follows the tool's Parameters Schema\n");
    Say(last);
  }

  std::vector<ChatPiece> pieces_;
};

}  // namespace

void AddToolPrompt(std::span<const Tool> tools, ToolCallStyle style, std::vector<ChatMessage>& messages) {
  auto system = std::find_if(messages.rbegin(), messages.rend(), [](const ChatMessage& message) { return message.role == "system"; });
  ChatMessage* to = nullptr;
  if (system == messages.rend()) {
    messages.insert(messages.begin(), ChatMessage{.role = "system", .content = "", .tool_calls = {}});
    to = &messages.front();
  } else {
    to = &*system;
  }
  to->tools = ToolPrompt().Write(tools, style);
  const bool has_text = to->content && !to->content->empty();
  if (has_text) to->tools.insert(to->tools.begin(), {ChatPiece::Origin::kFormat, "\n\n"});
}

ToolCallStyle StyleOfTemplate(std::string_view chat_template) {
  const bool has_calls = chat_template.find(kToolSeparator) != std::string_view::npos;
  return has_calls && chat_template.find("```json") != std::string_view::npos ? ToolCallStyle::kDeepSeekV3 : ToolCallStyle::kDeepSeekV31;
}

}  // namespace atoll::model
