#pragma once

// One line per event on standard error: time, level, process name, text. Thread-safe; a line is one write.

#include <string_view>

#include "absl/strings/str_cat.h"

namespace atoll {

enum class LogLevel { kDebug = 0, kInfo = 1, kWarning = 2, kError = 3, kOff = 4 };

// Set once in main, before threads start.
void SetLogName(std::string_view process_name);
void SetLogLevel(LogLevel lowest_written);

void LogLine(LogLevel level, std::string_view text);

template <typename... Parts>
void LogInfo(const Parts&... parts) { LogLine(LogLevel::kInfo, absl::StrCat(parts...)); }
template <typename... Parts>
void LogWarning(const Parts&... parts) { LogLine(LogLevel::kWarning, absl::StrCat(parts...)); }
template <typename... Parts>
void LogError(const Parts&... parts) { LogLine(LogLevel::kError, absl::StrCat(parts...)); }

}  // namespace atoll
