#pragma once

// How a model is told which tools it may call: the text that DeepSeek's releases were trained with, after the system prompt.

#include <span>
#include <string>
#include <vector>

#include "model/chat/chat_format.h"
#include "model/grammar/constraint.h"

namespace atoll::model {

struct Tool {
  std::string name;
  std::string description;
  std::string parameters;  // JSON schema of the arguments, as text; empty: no arguments are described
  bool strict = false;     // the arguments have to be valid under the schema; else as far as it is supported
};

// Adds the description to the last system message, or to one of its own in front where there is none.
void AddToolPrompt(std::span<const Tool> tools, ToolCallStyle style, std::vector<ChatMessage>& messages);

// The style of the calls that a chat template renders; V3.1's where it renders none.
ToolCallStyle StyleOfTemplate(std::string_view chat_template);

}  // namespace atoll::model
