#pragma once

#include "base/status.h"
#include "model/chat/jinja/syntax.h"
#include "model/chat/jinja/token_reader.h"

namespace atoll::model::jinja {

// How deep expressions and statements may nest: parsing and evaluation recurse that deep at most.
inline constexpr int kNestingMax = 32;

// Reads one expression. INVALID_ARGUMENT names the first construct that is outside the subset: filters, arithmetic, unknown
// methods, functions and tests.
absl::StatusOr<Expression> ParseExpression(TokenReader& tokens);

// Reads an expression that ends before an "if" of its own: what a loop goes over.
absl::StatusOr<Expression> ParseUnconditionalExpression(TokenReader& tokens);

}  // namespace atoll::model::jinja
