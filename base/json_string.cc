#include "base/json_string.h"

#include "base/utf8.h"

namespace atoll {
namespace {

bool IsPlain(unsigned char c) { return c >= 0x20 && c != '"' && c != '\\' && c < 0x7F; }

void AppendEscaped(unsigned char c, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  switch (c) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    default: break;
  }
  if (c >= 0x20) {
    out += static_cast<char>(c);
  } else {
    out.append("\\u00").append(1, kHex[c >> 4]).append(1, kHex[c & 15]);
  }
}

}  // namespace

void AppendJsonString(std::string_view text, std::string& out) {
  out += '"';
  if (FirstInvalidUtf8(text) == text.size()) {
    for (size_t i = 0; i < text.size();) {
      size_t end = i;
      while (end < text.size() && IsPlain(static_cast<unsigned char>(text[end]))) ++end;
      out.append(text, i, end - i);
      if (end < text.size()) AppendEscaped(static_cast<unsigned char>(text[end]), out);
      i = end + 1;
    }
  } else {
    std::string valid;
    const size_t unfinished = AppendReplacingInvalid(text, valid);
    if (unfinished > 0) valid += kReplacementCharacter;
    for (const char c : valid) AppendEscaped(static_cast<unsigned char>(c), out);
  }
  out += '"';
}

}  // namespace atoll
