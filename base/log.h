#pragma once

// One line per event on standard error: time, level, process name, text; or the same as one JSON object. Thread-safe; a line
// is one write.

#include <string_view>

#include "absl/strings/str_cat.h"

namespace atoll {

enum class LogLevel { kDebug = 0, kInfo = 1, kWarning = 2, kError = 3, kOff = 4 };
enum class LogFormat { kText, kJson };

// Set once in main, before threads start.
void SetLogName(std::string_view process_name);
void SetLogFormat(LogFormat format);
void SetLogLevel(LogLevel lowest_written);

// Whether a line of that level is written: for those that are costly to make.
bool Logs(LogLevel level);

// A line that concerns a request names it. Control characters, which may come from a peer, are written as '?' in text.
void LogLine(LogLevel level, std::string_view text, std::string_view request_id = {});

template <typename... Parts>
void LogDebug(const Parts&... parts) {
  if (Logs(LogLevel::kDebug)) LogLine(LogLevel::kDebug, absl::StrCat(parts...));
}
template <typename... Parts>
void LogInfo(const Parts&... parts) { LogLine(LogLevel::kInfo, absl::StrCat(parts...)); }
template <typename... Parts>
void LogWarning(const Parts&... parts) { LogLine(LogLevel::kWarning, absl::StrCat(parts...)); }
template <typename... Parts>
void LogError(const Parts&... parts) { LogLine(LogLevel::kError, absl::StrCat(parts...)); }

}  // namespace atoll
