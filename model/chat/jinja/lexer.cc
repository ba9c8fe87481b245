#include "model/chat/jinja/lexer.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace atoll::model::jinja {
namespace {

constexpr std::string_view kSpaces = " \t\n\r\v\f";

bool IsSpace(char c) { return kSpaces.find(c) != std::string_view::npos; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

// Jinja reads every kind of line break as LF.
std::string WithUnixLineBreaks(std::string_view source) {
  std::string text;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      text += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      text += source[i];
    }
  }
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)) {}

  absl::StatusOr<std::vector<Token>> Run() {
    while (at_ < source_.size()) {
      const size_t tag = NextTag();
      ReadText(tag);
      if (tag == std::string::npos) break;
      ATOLL_RETURN_IF_ERROR(ReadTag(tag));
    }
    Add(Token::Kind::kEnd, "", source_.size());
    return std::move(tokens_);
  }

 private:
  void Add(Token::Kind kind, std::string text, size_t offset) { tokens_.push_back({kind, std::move(text), offset}); }

  absl::Status Refused(const std::string& reason, size_t offset) const {
    return absl::InvalidArgumentError(absl::StrCat("chat template: ", reason, " at byte ", offset));
  }

  size_t NextTag() const {
    for (size_t i = source_.find('{', at_); i != std::string::npos && i + 1 < source_.size(); i = source_.find('{', i + 1)) {
      if (source_[i + 1] == '{' || source_[i + 1] == '%' || source_[i + 1] == '#') return i;
    }
    return std::string::npos;
  }

  // The raw text from at_ to the tag, shortened as the tags on its two sides say.
  void ReadText(size_t tag) {
    size_t end = std::min(tag, source_.size());
    size_t begin = at_;
    if (strip_left_) {
      while (begin < end && IsSpace(source_[begin])) ++begin;
    } else if (trim_line_break_ && begin < end && source_[begin] == '\n') {
      ++begin;
    }
    if (tag != std::string::npos) end = EndBeforeTag(begin, tag);
    if (end > begin) Add(Token::Kind::kText, source_.substr(begin, end - begin), begin);
    at_ = tag == std::string::npos ? source_.size() : tag;
  }

  size_t EndBeforeTag(size_t begin, size_t tag) const {
    const char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
    size_t end = tag;
    if (sign == '-') {
      while (end > begin && IsSpace(source_[end - 1])) --end;
      return end;
    }
    if (sign == '+' || source_[tag + 1] == '{') return tag;
    while (end > begin && (source_[end - 1] == ' ' || source_[end - 1] == '\t')) --end;
    const bool is_at_line_start = end > begin ? source_[end - 1] == '\n' : begin == 0 || source_[begin - 1] == '\n';
    return is_at_line_start ? end : tag;
  }

  absl::Status ReadTag(size_t tag) {
    const char kind = source_[tag + 1];
    at_ = tag + 2;
    if (kind == '#') return SkipComment(tag);
    if (at_ < source_.size() && (source_[at_] == '-' || source_[at_] == '+')) ++at_;
    const bool is_print = kind == '{';
    Add(is_print ? Token::Kind::kPrintBegin : Token::Kind::kBlockBegin, "", tag);
    while (true) {
      while (at_ < source_.size() && IsSpace(source_[at_])) ++at_;
      if (at_ >= source_.size()) return Refused("a tag that does not end", tag);
      if (ReadTagEnd(is_print ? "}}" : "%}")) break;
      ATOLL_RETURN_IF_ERROR(ReadTagToken());
    }
    Add(is_print ? Token::Kind::kPrintEnd : Token::Kind::kBlockEnd, "", at_);
    if (is_print) trim_line_break_ = false;
    return absl::OkStatus();
  }

  bool ReadTagEnd(std::string_view end) {
    const std::string_view rest = std::string_view(source_).substr(at_);
    const bool has_sign = rest[0] == '-' || rest[0] == '+';
    if (rest.substr(has_sign ? 1 : 0, end.size()) != end) return false;
    strip_left_ = rest[0] == '-';
    trim_line_break_ = rest[0] != '+';
    at_ += end.size() + (has_sign ? 1 : 0);
    return true;
  }

  absl::Status SkipComment(size_t tag) {
    const size_t end = source_.find("#}", at_);
    if (end == std::string::npos) return Refused("a comment that does not end", tag);
    strip_left_ = end > at_ && source_[end - 1] == '-';
    trim_line_break_ = !(end > at_ && source_[end - 1] == '+');
    at_ = end + 2;
    return absl::OkStatus();
  }

  absl::Status ReadTagToken() {
    const size_t begin = at_;
    const char first = source_[at_];
    if (first == '\'' || first == '"') return ReadString(first);
    if (IsNameStart(first) || IsDigit(first)) {
      while (at_ < source_.size() && (IsNameStart(source_[at_]) || (IsDigit(source_[at_])))) ++at_;
      Add(IsDigit(first) ? Token::Kind::kInteger : Token::Kind::kName, source_.substr(begin, at_ - begin), begin);
      return absl::OkStatus();
    }
    for (const std::string_view symbol : {"==", "!=", "<=", ">=", "//", "**"}) {
      if (source_.compare(at_, 2, symbol) == 0) return ReadOperator(2);
    }
    if (std::string_view("()[]{}.,:=+-~|<>*/%").find(first) != std::string_view::npos) return ReadOperator(1);
    return Refused("a character that is not known", begin);
  }

  absl::Status ReadOperator(size_t length) {
    Add(Token::Kind::kOperator, source_.substr(at_, length), at_);
    at_ += length;
    return absl::OkStatus();
  }

  absl::Status ReadString(char quote) {
    const size_t begin = at_++;
    std::string text;
    while (at_ < source_.size() && source_[at_] != quote) {
      if (source_[at_] != '\\') {
        text += source_[at_++];
        continue;
      }
      const std::optional<char> resolved = at_ + 1 < source_.size() ? Escaped(source_[at_ + 1]) : std::nullopt;
      if (!resolved) return Refused("an escape that is not known", at_);
      text += *resolved;
      at_ += 2;
    }
    if (at_ >= source_.size()) return Refused("a string that does not end", begin);
    ++at_;
    Add(Token::Kind::kString, std::move(text), begin);
    return absl::OkStatus();
  }

  static std::optional<char> Escaped(char letter) {
    constexpr std::string_view kLetters = "ntr\\'\"";
    constexpr std::string_view kMeanings = "\n\t\r\\'\"";
    const size_t found = kLetters.find(letter);
    return found == std::string_view::npos ? std::nullopt : std::optional(kMeanings[found]);
  }

  const std::string source_;
  size_t at_ = 0;
  bool strip_left_ = false;       // the tag before ended with "-"
  bool trim_line_break_ = false;  // the tag before was a block or comment without "+"
  std::vector<Token> tokens_;
};

}  // namespace

absl::StatusOr<std::vector<Token>> Tokenize(std::string_view source) { return Lexer(WithUnixLineBreaks(source)).Run(); }

}  // namespace atoll::model::jinja
