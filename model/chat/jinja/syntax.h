#pragma once

// A parsed template.

#include <string>
#include <vector>

#include "model/chat/jinja/value.h"

namespace atoll::model::jinja {

struct Expression {
  enum class Kind {
    kLiteral,      // value
    kVariable,     // name
    kAttribute,    // operands[0] . name
    kSubscript,    // operands[0] [ operands[1] ]
    kSplit,        // operands[0] .split( operands[1] [, operands[2]] )
    kNamespace,    // namespace( names[i] = operands[i] )
    kRaise,        // raise_exception( operands[0] )
    kNot,
    kAnd,
    kOr,
    kEqual,
    kNotEqual,
    kIn,
    kNotIn,
    kIsDefined,
    kIsNone,
    kIsText,
    kConcatenate,  // + or ~
    kConditional,  // operands[0] if operands[1] else operands[2]
  };
  Kind kind;
  Value value = {};
  std::string name = {};
  std::vector<std::string> names = {};
  std::vector<Expression> operands = {};
};

struct Statement;
using Body = std::vector<Statement>;

struct Branch {
  std::vector<Expression> condition;  // none for "else", else one
  Body body;
};

struct Statement {
  enum class Kind {
    kText,    // text
    kPrint,   // expressions[0]
    kSet,     // name [. attribute] = expressions[0]
    kFor,     // name in expressions[0] [if expressions[1]]: branches[0]
    kIf,      // branches
  };
  Kind kind;
  std::string text = {};
  std::string name = {};
  std::string attribute = {};
  std::vector<Expression> expressions = {};
  std::vector<Branch> branches = {};
};

}  // namespace atoll::model::jinja
