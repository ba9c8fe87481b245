#pragma once

// tools, tool_choice and parallel_tool_calls of a chat.

#include <string_view>

#include "router/http/json/json_fields.h"
#include "router/request/request.h"

namespace atoll::router::http {

inline constexpr size_t kToolsMax = 128;
inline constexpr size_t kToolNameBytesMax = 64;

// `text`: the body as it was written, since the parameters' properties have an order. Errors are left in `fields`.
ToolUse ReadToolUse(JsonFields& fields, std::string_view text);

}  // namespace atoll::router::http
