#include "model/files/json_reader.h"

#include <unordered_set>

#include "absl/strings/escaping.h"
#include "model/files/refusal.h"

namespace atoll::model {
namespace {

constexpr uint64_t kExactIntegerMax = uint64_t{1} << 53;

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

void AppendUtf8(uint32_t code, std::string& out) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (code >> 18));
    out += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

// Length of the well-formed character at text[at], 0 where there is none.
size_t Utf8Length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : 0; };
  const uint8_t lead = byte(at);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (byte(at + 1) < low || byte(at + 1) > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

bool IsValidUtf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = Utf8Length(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

absl::Status CheckJsonText(std::string_view text, size_t bytes_max, int depth_max) {
  if (text.size() > bytes_max) {
    return Refusal("JSON of ", text.size(), " bytes exceeds the limit of ", bytes_max);
  }
  JsonReader reader(text);
  ATOLL_RETURN_IF_ERROR(reader.SkipValue(depth_max));
  return reader.TakeEnd();
}

void JsonReader::SkipSpace() {
  while (position_ < text_.size() && IsSpace(text_[position_])) ++position_;
}

absl::Status JsonReader::Wrong(std::string_view expected) const {
  return Refusal("expected ", std::string(expected), " at byte ", position_, " of the JSON, found ",
                 position_ < text_.size() ? absl::StrCat("byte ", static_cast<uint8_t>(text_[position_])) : "its end");
}

bool JsonReader::TryTake(char c) {
  SkipSpace();
  if (position_ >= text_.size() || text_[position_] != c) return false;
  ++position_;
  return true;
}

absl::Status JsonReader::Take(char c) { return TryTake(c) ? absl::OkStatus() : Wrong(std::string("'") + c + "'"); }

absl::Status JsonReader::TakeEnd() {
  SkipSpace();
  return position_ == text_.size() ? absl::OkStatus() : Wrong("nothing more");
}

absl::StatusOr<std::string> JsonReader::TakeString() {
  ATOLL_RETURN_IF_ERROR(Take('"'));
  std::string out;
  while (position_ < text_.size() && text_[position_] != '"') {
    if (text_[position_] == '\\') {
      ATOLL_RETURN_IF_ERROR(TakeEscape(out));
      continue;
    }
    if (static_cast<uint8_t>(text_[position_]) < 0x20) return Wrong("no bare control character in a string");
    const size_t length = Utf8Length(text_, position_);
    if (length == 0) return Wrong("valid UTF-8 in a string");
    out.append(text_.substr(position_, length));
    position_ += length;
  }
  if (position_ == text_.size()) return Wrong("the end of a string");
  ++position_;
  return out;
}

absl::Status JsonReader::TakeEscape(std::string& out) {
  constexpr std::string_view kNames = "\"\\/bfnrt", kValues = "\"\\/\b\f\n\r\t";
  ++position_;
  if (position_ == text_.size()) return Wrong("an escape");
  const char c = text_[position_];
  if (const size_t at = kNames.find(c); at != std::string_view::npos) {
    ++position_;
    out += kValues[at];
    return absl::OkStatus();
  }
  if (c != 'u') return Wrong("a known escape");
  ++position_;
  ATOLL_ASSIGN_OR_RETURN(uint32_t code, TakeHex4());
  if (code >= 0xD800 && code < 0xDC00 && text_.substr(position_, 2) == "\\u") {
    position_ += 2;
    ATOLL_ASSIGN_OR_RETURN(const uint32_t low, TakeHex4());
    if (low < 0xDC00 || low > 0xDFFF) return Wrong("the second half of a surrogate pair");
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  if (code >= 0xD800 && code < 0xE000) return Wrong("no lone surrogate");
  AppendUtf8(code, out);
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> JsonReader::TakeHex4() {
  uint32_t code = 0;
  for (int i = 0; i < 4; ++i, ++position_) {
    const char c = position_ < text_.size() ? text_[position_] : 0;
    const char lower = static_cast<char>(c | 0x20);
    if (IsDigit(c)) {
      code = code * 16 + static_cast<uint32_t>(c - '0');
    } else if (lower >= 'a' && lower <= 'f') {
      code = code * 16 + static_cast<uint32_t>(lower - 'a' + 10);
    } else {
      return Wrong("four hexadecimal digits");
    }
  }
  return code;
}

absl::StatusOr<uint64_t> JsonReader::TakeUnsigned() {
  SkipSpace();
  const size_t begin = position_;
  uint64_t value = 0;
  while (position_ < text_.size() && IsDigit(text_[position_])) {
    value = value * 10 + static_cast<uint64_t>(text_[position_] - '0');
    if (value > kExactIntegerMax) return Wrong("a whole number of at most 2^53");
    ++position_;
  }
  const bool leading_zero = position_ - begin > 1 && text_[begin] == '0';
  const char next = position_ < text_.size() ? text_[position_] : 0;
  if (position_ == begin || leading_zero || next == '.' || next == 'e' || next == 'E') {
    return Wrong("a whole number without sign, fraction or exponent");
  }
  return value;
}

absl::Status JsonReader::TakeObject(const Member& member) {
  ATOLL_RETURN_IF_ERROR(Take('{'));
  std::unordered_set<std::string> keys;
  if (TryTake('}')) return absl::OkStatus();
  do {
    ATOLL_ASSIGN_OR_RETURN(std::string key, TakeString());
    const auto [at, inserted] = keys.insert(std::move(key));
    if (!inserted) return Refusal("the JSON has the key \"", absl::Utf8SafeCEscape(at->substr(0, 200)), "\" twice");
    ATOLL_RETURN_IF_ERROR(Take(':'));
    ATOLL_RETURN_IF_ERROR(member(*at));
  } while (TryTake(','));
  return Take('}');
}

absl::Status JsonReader::SkipValue(int depth_max) {
  SkipSpace();
  const char c = position_ < text_.size() ? text_[position_] : 0;
  if ((c == '{' || c == '[') && depth_max <= 0) return Wrong("no deeper nesting");
  if (c == '{') return TakeObject([&](const std::string&) { return SkipValue(depth_max - 1); });
  if (c == '[') return SkipArray(depth_max);
  if (c == '"') return TakeString().status();
  return SkipScalar();
}

absl::Status JsonReader::SkipArray(int depth_max) {
  ATOLL_RETURN_IF_ERROR(Take('['));
  if (TryTake(']')) return absl::OkStatus();
  do {
    ATOLL_RETURN_IF_ERROR(SkipValue(depth_max - 1));
  } while (TryTake(','));
  return Take(']');
}

// A number or one of the three literals. Numbers are only bounded here: who needs their value parses them.
absl::Status JsonReader::SkipScalar() {
  for (std::string_view literal : {"true", "false", "null"}) {
    if (text_.substr(position_, literal.size()) == literal) {
      position_ += literal.size();
      return absl::OkStatus();
    }
  }
  const size_t begin = position_;
  while (position_ < text_.size() &&
         (IsDigit(text_[position_]) || std::string_view("+-.eE").find(text_[position_]) != std::string_view::npos)) {
    ++position_;
  }
  return position_ > begin ? absl::OkStatus() : Wrong("a value");
}

}  // namespace atoll::model
