#include "router/http/json/json_write.h"

#include <charconv>
#include <cmath>

namespace atoll::router::http {
namespace {

constexpr float kNoLogprob = -9999;

}  // namespace

void AppendJsonFloat(float value, std::string& out) {
  if (!std::isfinite(value)) value = kNoLogprob;
  char text[32];
  const std::to_chars_result end = std::to_chars(text, text + sizeof text, value);
  out.append(text, end.ptr);
}

void AppendJsonInt(int64_t value, std::string& out) {
  char text[24];
  const std::to_chars_result end = std::to_chars(text, text + sizeof text, value);
  out.append(text, end.ptr);
}

}  // namespace atoll::router::http
