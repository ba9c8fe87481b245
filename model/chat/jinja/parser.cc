#include "model/chat/jinja/parser.h"

#include <initializer_list>
#include <utility>

#include "model/chat/jinja/expression_parser.h"

namespace atoll::model::jinja {
namespace {

using Kind = Statement::Kind;

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  absl::StatusOr<Body> Template() {
    ATOLL_ASSIGN_OR_RETURN(Body body, BodyUntil({}));
    if (tokens_.Peek().kind != Token::Kind::kEnd) return tokens_.Refused("expected a statement");
    return body;
  }

 private:
  // Reads up to a block that begins with one of `ends`, of which "{%" is taken and the word is not; or to the end.
  absl::StatusOr<Body> BodyUntil(std::initializer_list<std::string_view> ends) {
    Body body;
    while (tokens_.Peek().kind != Token::Kind::kEnd) {
      if (tokens_.Peek().kind == Token::Kind::kText) {
        body.push_back({.kind = Kind::kText, .text = tokens_.Take().text});
      } else if (tokens_.Peek().kind == Token::Kind::kPrintBegin) {
        ATOLL_ASSIGN_OR_RETURN(Statement print, Print());
        body.push_back(std::move(print));
      } else {
        ATOLL_RETURN_IF_ERROR(tokens_.Expect(Token::Kind::kBlockBegin, "a statement"));
        for (const std::string_view end : ends) {
          if (tokens_.AtName(end)) return body;
        }
        ATOLL_ASSIGN_OR_RETURN(Statement block, Block());
        body.push_back(std::move(block));
      }
    }
    return ends.size() == 0 ? absl::StatusOr<Body>(std::move(body)) : tokens_.Refused("a block that does not end");
  }

  absl::StatusOr<Statement> Print() {
    tokens_.Take();
    ATOLL_ASSIGN_OR_RETURN(Expression printed, ParseExpression(tokens_));
    ATOLL_RETURN_IF_ERROR(tokens_.Expect(Token::Kind::kPrintEnd, "\"}}\""));
    Statement statement{.kind = Kind::kPrint};
    statement.expressions.push_back(std::move(printed));
    return statement;
  }

  absl::StatusOr<Statement> Block() {
    if (tokens_.TakeName("set")) return Set();
    if (++depth_ > kNestingMax) return tokens_.Refused(absl::StrCat("expected at most ", kNestingMax, " nested blocks"));
    absl::StatusOr<Statement> block = tokens_.TakeName("for")  ? For()
                                      : tokens_.TakeName("if") ? If()
                                                               : tokens_.Refused("the statements that are known are set, for and if");
    --depth_;
    return block;
  }

  absl::Status EndOfBlock() { return tokens_.Expect(Token::Kind::kBlockEnd, "\"%}\""); }

  absl::StatusOr<Statement> Set() {
    Statement statement{.kind = Kind::kSet};
    ATOLL_ASSIGN_OR_RETURN(statement.name, tokens_.ExpectName());
    if (tokens_.TakeOperator(".")) {
      ATOLL_ASSIGN_OR_RETURN(statement.attribute, tokens_.ExpectName());
    }
    ATOLL_RETURN_IF_ERROR(tokens_.ExpectOperator("="));
    ATOLL_ASSIGN_OR_RETURN(Expression value, ParseExpression(tokens_));
    statement.expressions.push_back(std::move(value));
    ATOLL_RETURN_IF_ERROR(EndOfBlock());
    return statement;
  }

  absl::StatusOr<Statement> For() {
    Statement statement{.kind = Kind::kFor};
    ATOLL_ASSIGN_OR_RETURN(statement.name, tokens_.ExpectName());
    if (!tokens_.TakeName("in")) return tokens_.Refused("expected \"in\"");
    ATOLL_ASSIGN_OR_RETURN(Expression iterated, ParseUnconditionalExpression(tokens_));
    statement.expressions.push_back(std::move(iterated));
    if (tokens_.TakeName("if")) {
      ATOLL_ASSIGN_OR_RETURN(Expression filter, ParseExpression(tokens_));
      statement.expressions.push_back(std::move(filter));
    }
    ATOLL_RETURN_IF_ERROR(EndOfBlock());
    ATOLL_ASSIGN_OR_RETURN(Body body, BodyUntil({"endfor"}));
    statement.branches.push_back({{}, std::move(body)});
    tokens_.Take();
    ATOLL_RETURN_IF_ERROR(EndOfBlock());
    return statement;
  }

  absl::StatusOr<Statement> If() {
    Statement statement{.kind = Kind::kIf};
    while (true) {
      Branch branch;
      ATOLL_ASSIGN_OR_RETURN(Expression condition, ParseExpression(tokens_));
      branch.condition.push_back(std::move(condition));
      ATOLL_RETURN_IF_ERROR(EndOfBlock());
      ATOLL_ASSIGN_OR_RETURN(branch.body, BodyUntil({"elif", "else", "endif"}));
      statement.branches.push_back(std::move(branch));
      if (!tokens_.TakeName("elif")) break;
    }
    if (tokens_.TakeName("else")) {
      ATOLL_RETURN_IF_ERROR(EndOfBlock());
      ATOLL_ASSIGN_OR_RETURN(Body body, BodyUntil({"endif"}));
      statement.branches.push_back({{}, std::move(body)});
    }
    tokens_.Take();
    ATOLL_RETURN_IF_ERROR(EndOfBlock());
    return statement;
  }

  TokenReader tokens_;
  int depth_ = 0;
};

}  // namespace

absl::StatusOr<Body> ParseTemplate(std::string_view source) {
  ATOLL_ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(source));
  return Parser(std::move(tokens)).Template();
}

}  // namespace atoll::model::jinja
