#pragma once

// A position in the tokens of a template, shared by the two parsers.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/chat/jinja/lexer.h"

namespace atoll::model::jinja {

class TokenReader {
 public:
  explicit TokenReader(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& Peek() const { return tokens_[at_]; }
  Token Take() { return at_ + 1 < tokens_.size() ? tokens_[at_++] : tokens_[at_]; }
  bool At(Token::Kind kind, std::string_view text) const { return Peek().kind == kind && Peek().text == text; }
  bool AtOperator(std::string_view text) const { return At(Token::Kind::kOperator, text); }
  bool AtName(std::string_view text) const { return At(Token::Kind::kName, text); }

  // Whether the token was there; it is then taken.
  bool TakeOperator(std::string_view text) { return AtOperator(text) && (Take(), true); }
  bool TakeName(std::string_view text) { return AtName(text) && (Take(), true); }

  absl::Status Expect(Token::Kind kind, std::string_view what) {
    if (Peek().kind != kind) return Refused(absl::StrCat("expected ", std::string(what)));
    Take();
    return absl::OkStatus();
  }
  absl::Status ExpectOperator(std::string_view text) {
    return TakeOperator(text) ? absl::OkStatus() : Refused(absl::StrCat("expected \"", std::string(text), "\""));
  }
  absl::StatusOr<std::string> ExpectName() {
    if (Peek().kind != Token::Kind::kName) return Refused("expected a name");
    return Take().text;
  }

  // Names the token at hand.
  absl::Status Refused(const std::string& reason) const {
    return absl::InvalidArgumentError(absl::StrCat("chat template: ", reason, ", found \"", Peek().text.substr(0, 40), "\" at byte ", Peek().offset));
  }

 private:
  std::vector<Token> tokens_;  // never empty: the last one is kEnd
  size_t at_ = 0;
};

}  // namespace atoll::model::jinja
