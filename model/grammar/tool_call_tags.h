#pragma once

// How DeepSeek's models write calls of tools: what stands around names and arguments.

#include <string_view>

namespace atoll::model {

inline constexpr std::string_view kToolCallsBegin = "<｜tool▁calls▁begin｜>";
inline constexpr std::string_view kToolCallsEnd = "<｜tool▁calls▁end｜>";
inline constexpr std::string_view kToolCallBegin = "<｜tool▁call▁begin｜>";
inline constexpr std::string_view kToolCallEnd = "<｜tool▁call▁end｜>";
inline constexpr std::string_view kToolSeparator = "<｜tool▁sep｜>";
// V3 and R1 have a type before the separator, and the arguments in a fence after the name.
inline constexpr std::string_view kToolCallType = "function";
inline constexpr std::string_view kArgumentsBegin = "\n```json\n";
inline constexpr std::string_view kArgumentsEnd = "\n```";
inline constexpr std::string_view kThinkingEnd = "</think>";

}  // namespace atoll::model
