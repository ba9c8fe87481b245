#include "base/trace/trace_context.h"

#include <algorithm>
#include <span>

namespace atoll::trace {
namespace {

constexpr size_t kLength = 55;  // of version 00: 2-32-16-2 digits
constexpr char kDigits[] = "0123456789abcdef";

int DigitOf(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;  // capitals are invalid
}

bool ReadHex(std::string_view text, std::span<uint8_t> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    const int high = DigitOf(text[2 * i]), low = DigitOf(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return true;
}

void AppendHex(std::span<const uint8_t> bytes, std::string& out) {
  for (const uint8_t byte : bytes) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
}

}  // namespace

std::optional<TraceContext> ParseTraceparent(std::string_view text) {
  if (text.size() < kLength || text[2] != '-' || text[35] != '-' || text[52] != '-') return std::nullopt;
  TraceContext context;
  uint8_t version = 0;
  const bool digits = ReadHex(text, {&version, 1}) && ReadHex(text.substr(3), context.trace_id) && ReadHex(text.substr(36), context.span_id) &&
                      ReadHex(text.substr(53), {&context.flags, 1});
  if (!digits || version == 0xFF || context.empty()) return std::nullopt;
  if (text.size() > kLength && (version == 0 || text[kLength] != '-')) return std::nullopt;
  context.flags &= kSampledFlag;
  return context;
}

std::string Traceparent(const TraceContext& context) {
  std::string text = "00-";
  AppendHex(context.trace_id, text);
  text += '-';
  AppendHex(context.span_id, text);
  text += '-';
  AppendHex({&context.flags, 1}, text);
  return text;
}

std::array<std::byte, kContextBytes> ToBytes(const TraceContext& context) {
  std::array<std::byte, kContextBytes> bytes{};
  if (context.empty()) return bytes;
  const auto to_byte = [](uint8_t value) { return static_cast<std::byte>(value); };
  std::transform(context.trace_id.begin(), context.trace_id.end(), bytes.begin(), to_byte);
  std::transform(context.span_id.begin(), context.span_id.end(), bytes.begin() + 16, to_byte);
  bytes[24] = to_byte(context.flags);
  return bytes;
}

TraceContext FromBytes(const std::array<std::byte, kContextBytes>& bytes) {
  TraceContext context;
  const auto from_byte = [](std::byte value) { return static_cast<uint8_t>(value); };
  std::transform(bytes.begin(), bytes.begin() + 16, context.trace_id.begin(), from_byte);
  std::transform(bytes.begin() + 16, bytes.begin() + 24, context.span_id.begin(), from_byte);
  context.flags = from_byte(bytes[24]);
  return context;
}

}  // namespace atoll::trace
