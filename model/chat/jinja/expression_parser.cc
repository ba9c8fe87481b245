#include "model/chat/jinja/expression_parser.h"

#include <charconv>
#include <utility>

namespace atoll::model::jinja {
namespace {

using Kind = Expression::Kind;

template <typename... Operands>
Expression Node(Kind kind, Operands... operands) {
  Expression node{.kind = kind};
  (node.operands.push_back(std::move(operands)), ...);
  return node;
}

Expression Literal(Value value) { return {.kind = Kind::kLiteral, .value = std::move(value)}; }

// One method per level of precedence, the loosest first.
class ExpressionParser {
 public:
  explicit ExpressionParser(TokenReader& tokens) : tokens_(tokens) {}

  absl::StatusOr<Expression> Conditional() {
    if (++depth_ > kNestingMax) return tokens_.Refused(absl::StrCat("expected at most ", kNestingMax, " nested expressions"));
    absl::StatusOr<Expression> parsed = ConditionalInside();
    --depth_;
    return parsed;
  }

  absl::StatusOr<Expression> Or() {
    ATOLL_ASSIGN_OR_RETURN(Expression left, And());
    Expression joined = Node(Kind::kOr, std::move(left));
    while (tokens_.TakeName("or")) {
      ATOLL_ASSIGN_OR_RETURN(Expression right, And());
      joined.operands.push_back(std::move(right));
    }
    return Unwrapped(std::move(joined));
  }

 private:
  absl::StatusOr<Expression> ConditionalInside() {
    ATOLL_ASSIGN_OR_RETURN(Expression value, Or());
    if (!tokens_.TakeName("if")) return value;
    ATOLL_ASSIGN_OR_RETURN(Expression condition, Or());
    Expression otherwise = Literal(Value());
    if (tokens_.TakeName("else")) {
      ATOLL_ASSIGN_OR_RETURN(otherwise, Conditional());
    }
    return Node(Kind::kConditional, std::move(value), std::move(condition), std::move(otherwise));
  }

  absl::StatusOr<Expression> And() {
    ATOLL_ASSIGN_OR_RETURN(Expression left, Not());
    Expression joined = Node(Kind::kAnd, std::move(left));
    while (tokens_.TakeName("and")) {
      ATOLL_ASSIGN_OR_RETURN(Expression right, Not());
      joined.operands.push_back(std::move(right));
    }
    return Unwrapped(std::move(joined));
  }

  absl::StatusOr<Expression> Not() {
    bool is_negated = false;
    while (tokens_.TakeName("not")) is_negated = !is_negated;
    ATOLL_ASSIGN_OR_RETURN(Expression compared, Comparison());
    return is_negated ? Node(Kind::kNot, std::move(compared)) : std::move(compared);
  }

  absl::StatusOr<Expression> Comparison() {
    ATOLL_ASSIGN_OR_RETURN(Expression left, Sum());
    if (tokens_.TakeName("is")) return Test(std::move(left));
    Kind kind;
    if (tokens_.TakeOperator("==")) {
      kind = Kind::kEqual;
    } else if (tokens_.TakeOperator("!=")) {
      kind = Kind::kNotEqual;
    } else if (tokens_.TakeName("in")) {
      kind = Kind::kIn;
    } else if (tokens_.AtName("not")) {
      tokens_.Take();
      if (!tokens_.TakeName("in")) return tokens_.Refused("expected \"in\" after \"not\"");
      kind = Kind::kNotIn;
    } else {
      return left;
    }
    ATOLL_ASSIGN_OR_RETURN(Expression right, Sum());
    return Node(kind, std::move(left), std::move(right));
  }

  absl::StatusOr<Expression> Test(Expression tested) {
    const bool is_negated = tokens_.TakeName("not");
    Kind kind;
    if (tokens_.TakeName("defined")) {
      kind = Kind::kIsDefined;
    } else if (tokens_.TakeName("none")) {
      kind = Kind::kIsNone;
    } else if (tokens_.TakeName("string")) {
      kind = Kind::kIsText;
    } else {
      return tokens_.Refused("the tests that are known are defined, none and string");
    }
    Expression test = Node(kind, std::move(tested));
    return is_negated ? Node(Kind::kNot, std::move(test)) : std::move(test);
  }

  absl::StatusOr<Expression> Sum() {
    ATOLL_ASSIGN_OR_RETURN(Expression first, Postfix());
    Expression joined = Node(Kind::kConcatenate, std::move(first));
    while (tokens_.TakeOperator("+") || tokens_.TakeOperator("~")) {
      ATOLL_ASSIGN_OR_RETURN(Expression next, Postfix());
      joined.operands.push_back(std::move(next));
    }
    return Unwrapped(std::move(joined));
  }

  static Expression Unwrapped(Expression joined) {
    if (joined.operands.size() > 1) return joined;
    Expression only = std::move(joined.operands[0]);
    return only;
  }

  absl::StatusOr<Expression> Postfix() {
    ATOLL_ASSIGN_OR_RETURN(Expression base, Primary());
    for (int links = 0;; ++links) {
      if (links > kNestingMax) return tokens_.Refused(absl::StrCat("expected at most ", kNestingMax, " attributes in a row"));
      if (tokens_.TakeOperator(".")) {
        ATOLL_ASSIGN_OR_RETURN(base, Attribute(std::move(base)));
      } else if (tokens_.TakeOperator("[")) {
        ATOLL_ASSIGN_OR_RETURN(Expression index, Conditional());
        ATOLL_RETURN_IF_ERROR(tokens_.ExpectOperator("]"));
        base = Node(Kind::kSubscript, std::move(base), std::move(index));
      } else if (tokens_.AtOperator("|")) {
        return tokens_.Refused("filters are not known");
      } else {
        return base;
      }
    }
  }

  absl::StatusOr<Expression> Attribute(Expression base) {
    ATOLL_ASSIGN_OR_RETURN(std::string name, tokens_.ExpectName());
    if (!tokens_.AtOperator("(")) {
      Expression attribute = Node(Kind::kAttribute, std::move(base));
      attribute.name = std::move(name);
      return attribute;
    }
    if (name != "split") return tokens_.Refused(absl::StrCat("the method that is known is split, not ", name.substr(0, 40)));
    tokens_.Take();
    Expression split = Node(Kind::kSplit, std::move(base));
    do {
      ATOLL_ASSIGN_OR_RETURN(Expression argument, Conditional());
      split.operands.push_back(std::move(argument));
    } while (split.operands.size() < 3 && tokens_.TakeOperator(","));
    ATOLL_RETURN_IF_ERROR(tokens_.ExpectOperator(")"));
    return split;
  }

  absl::StatusOr<Expression> Primary() {
    if (tokens_.TakeOperator("(")) {
      ATOLL_ASSIGN_OR_RETURN(Expression inner, Conditional());
      ATOLL_RETURN_IF_ERROR(tokens_.ExpectOperator(")"));
      return inner;
    }
    const bool is_negative = tokens_.TakeOperator("-");
    if (tokens_.Peek().kind == Token::Kind::kInteger) return Integer(is_negative);
    if (is_negative) return tokens_.Refused("expected an integer after \"-\"");
    if (tokens_.Peek().kind == Token::Kind::kString) return Literal(Value::Of(Text::Of(tokens_.Take().text, Origin::kTemplate)));
    if (tokens_.Peek().kind == Token::Kind::kName) return Name();
    return tokens_.Refused("expected a text, an integer, a name or \"(\"");
  }

  absl::StatusOr<Expression> Integer(bool is_negative) {
    const std::string& digits = tokens_.Peek().text;
    int64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size()) return tokens_.Refused("expected an integer");
    tokens_.Take();
    return Literal(Value::Of(is_negative ? -value : value));
  }

  absl::StatusOr<Expression> Name() {
    for (const std::string_view reserved : {"if", "else", "in", "is", "and", "or", "not"}) {
      if (tokens_.AtName(reserved)) return tokens_.Refused("expected a value");
    }
    const std::string name = tokens_.Take().text;
    if (name == "true" || name == "True") return Literal(Value::Of(true));
    if (name == "false" || name == "False") return Literal(Value::Of(false));
    if (name == "none" || name == "None") return Literal(Value::OfNone());
    if (!tokens_.AtOperator("(")) return Expression{.kind = Kind::kVariable, .name = name};
    if (name == "namespace") return Namespace();
    if (name == "raise_exception") return Raise();
    return tokens_.Refused(absl::StrCat("the functions that are known are namespace and raise_exception, not ", name.substr(0, 40)));
  }

  absl::StatusOr<Expression> Namespace() {
    tokens_.Take();
    Expression made = Node(Kind::kNamespace);
    while (!tokens_.AtOperator(")")) {
      ATOLL_ASSIGN_OR_RETURN(std::string name, tokens_.ExpectName());
      ATOLL_RETURN_IF_ERROR(tokens_.ExpectOperator("="));
      ATOLL_ASSIGN_OR_RETURN(Expression value, Conditional());
      made.names.push_back(std::move(name));
      made.operands.push_back(std::move(value));
      if (!tokens_.TakeOperator(",")) break;
    }
    ATOLL_RETURN_IF_ERROR(tokens_.ExpectOperator(")"));
    return made;
  }

  absl::StatusOr<Expression> Raise() {
    tokens_.Take();
    ATOLL_ASSIGN_OR_RETURN(Expression message, Conditional());
    ATOLL_RETURN_IF_ERROR(tokens_.ExpectOperator(")"));
    return Node(Kind::kRaise, std::move(message));
  }

  TokenReader& tokens_;
  int depth_ = 0;
};

}  // namespace

absl::StatusOr<Expression> ParseExpression(TokenReader& tokens) { return ExpressionParser(tokens).Conditional(); }

absl::StatusOr<Expression> ParseUnconditionalExpression(TokenReader& tokens) { return ExpressionParser(tokens).Or(); }

}  // namespace atoll::model::jinja
