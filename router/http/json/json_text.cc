#include "router/http/json/json_text.h"

#include <nlohmann/json.hpp>

#include "router/http/json/json_parse.h"

namespace atoll::router::http {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

// Reads on through text that is known to be JSON; at its end it stays there.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool Take(char c) {
    SkipBlanks();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  std::string_view Value() {
    SkipBlanks();
    const size_t begin = at_;
    int open = 0;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"') {
        SkipString();
      } else if (c == '{' || c == '[') {
        ++open, ++at_;
      } else if (open == 0) {
        at_ = std::min(text_.find_first_of(",]} \t\r\n", at_), text_.size());
      } else {
        open -= c == '}' || c == ']' ? 1 : 0;
        ++at_;
      }
      if (open == 0) break;
    }
    return text_.substr(begin, at_ - begin);
  }

 private:
  void SkipBlanks() { at_ = std::min(text_.find_first_not_of(kBlanks, at_), text_.size()); }
  void SkipString() {
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) at_ += text_[at_] == '\\' ? 1 : 0;
    at_ = std::min(at_ + 1, text_.size());
  }

  std::string_view text_;
  size_t at_ = 0;
};

bool IsNamed(std::string_view key, std::string_view name) {
  if (key.find('\\') == std::string_view::npos) return key.size() == name.size() + 2 && key.substr(1, name.size()) == name;
  const Json unescaped = Json::parse(key, nullptr, false);
  return unescaped.is_string() && unescaped.get_ref<const std::string&>() == name;
}

}  // namespace

std::optional<std::string_view> MemberText(std::string_view text, std::string_view name) {
  Scanner scanner(text);
  if (!scanner.Take('{') || scanner.Take('}')) return std::nullopt;
  do {
    const std::string_view key = scanner.Value();
    if (!scanner.Take(':')) return std::nullopt;
    const std::string_view value = scanner.Value();
    if (IsNamed(key, name)) return value;
  } while (scanner.Take(','));
  return std::nullopt;
}

std::vector<std::string_view> ElementTexts(std::string_view text) {
  std::vector<std::string_view> elements;
  Scanner scanner(text);
  if (!scanner.Take('[') || scanner.Take(']')) return elements;
  do elements.push_back(scanner.Value());
  while (scanner.Take(','));
  return elements;
}

std::optional<std::string_view> TextAtPath(std::string_view text, const std::vector<std::string_view>& path) {
  std::optional<std::string_view> at = text;
  for (const std::string_view name : path) {
    if (at) at = MemberText(*at, name);
  }
  return at;
}

}  // namespace atoll::router::http
