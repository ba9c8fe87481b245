#include "base/log.h"

#include <unistd.h>

#include <atomic>
#include <ctime>
#include <string>

#include "base/json_string.h"

namespace atoll {
namespace {

constexpr const char* kNames[] = {"debug", "info", "warning", "error", "off"};

std::string& ProcessName() {
  static std::string name = "atoll";
  return name;
}
std::atomic<LogLevel> lowest_level{LogLevel::kInfo};
std::atomic<LogFormat> log_format{LogFormat::kText};

// The time of day alone, or with the date as RFC 3339 has it. UTC.
std::string TimeText(bool with_date) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  gmtime_r(&now.tv_sec, &parts);
  char text[40];
  const size_t length = std::strftime(text, sizeof text, with_date ? "%Y-%m-%dT%H:%M:%S" : "%H:%M:%S", &parts);
  std::snprintf(text + length, sizeof text - length, with_date ? ".%03ldZ" : ".%03ld", now.tv_nsec / 1000000);
  return text;
}

std::string TextLine(LogLevel level, std::string_view text, std::string_view request_id) {
  std::string line = absl::StrCat(TimeText(false), " ", kNames[static_cast<int>(level)], " ", ProcessName(), ": ");
  if (!request_id.empty()) line.append("request ").append(request_id).append(": ");
  line.append(text);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return line;
}

std::string JsonLine(LogLevel level, std::string_view text, std::string_view request_id) {
  std::string line = absl::StrCat("{\"time\":\"", TimeText(true), "\",\"level\":\"", kNames[static_cast<int>(level)], "\",\"process\":");
  AppendJsonString(ProcessName(), line);
  if (!request_id.empty()) {
    line += ",\"request_id\":";
    AppendJsonString(request_id, line);
  }
  line += ",\"message\":";
  AppendJsonString(text, line);
  return line += '}';
}

}  // namespace

void SetLogName(std::string_view process_name) { ProcessName() = std::string(process_name); }
void SetLogFormat(LogFormat format) { log_format = format; }
void SetLogLevel(LogLevel lowest_written) { lowest_level = lowest_written; }
bool Logs(LogLevel level) { return level >= lowest_level.load(std::memory_order_relaxed); }

void LogLine(LogLevel level, std::string_view text, std::string_view request_id) {
  if (!Logs(level)) return;
  std::string line = log_format.load() == LogFormat::kJson ? JsonLine(level, text, request_id) : TextLine(level, text, request_id);
  line += '\n';
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace atoll
