#include "base/log.h"

#include <unistd.h>

#include <atomic>
#include <ctime>
#include <string>

namespace atoll {
namespace {

std::string& ProcessName() {
  static std::string name = "atoll";
  return name;
}
std::atomic<LogLevel> lowest_level{LogLevel::kInfo};

std::string TimeOfDay() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  gmtime_r(&now.tv_sec, &parts);
  char text[40];
  std::snprintf(text, sizeof text, "%02d:%02d:%02d.%03ld", parts.tm_hour, parts.tm_min, parts.tm_sec, now.tv_nsec / 1000000);
  return text;
}

}  // namespace

void SetLogName(std::string_view process_name) { ProcessName() = std::string(process_name); }
void SetLogLevel(LogLevel lowest_written) { lowest_level = lowest_written; }

void LogLine(LogLevel level, std::string_view text) {
  if (level < lowest_level.load()) return;
  static constexpr const char* kNames[] = {"debug", "info", "warning", "error", "off"};
  const std::string line =
      absl::StrCat(TimeOfDay(), " ", kNames[static_cast<int>(level)], " ", ProcessName(), ": ",
                   absl::string_view(text.data(), text.size()), "\n");
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace atoll
