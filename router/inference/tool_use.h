#pragma once

#include <optional>

#include "base/status.h"
#include "model/grammar/constraint.h"
#include "model/grammar/grammar.h"
#include "router/request/request.h"

namespace atoll::router {

// What an answer has to be for its tools to be called rightly; nothing where it may be any text. A tool that does not ask for strictness is
// held to its schema as far as that is supported, else to any JSON object. INVALID_ARGUMENT names the tool.
absl::StatusOr<std::optional<model::Constraint>> ConstraintOfTools(const ToolUse& use, model::ToolCallStyle style,
                                                                   const model::grammar::ControlTokens& control_tokens);

}  // namespace atoll::router
