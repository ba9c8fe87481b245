#pragma once

#include "base/status.h"
#include "model/chat/jinja/syntax.h"

namespace atoll::model::jinja {

// What a template may cost: its author is not trusted to end loops or to keep texts from doubling.
struct EvaluationLimits {
  int64_t steps_max = 20'000'000;             // statements and expressions evaluated
  size_t bytes_made_max = size_t{256} << 20;  // of the result and of all texts on the way together
};

// Renders `body` over the variables of `globals`. INVALID_ARGUMENT: the template raised an exception, or an operation does not
// fit its operands (as it would not in Python); RESOURCE_EXHAUSTED: a limit is reached.
absl::StatusOr<Text> Render(const Body& body, const Map& globals, const EvaluationLimits& limits);

}  // namespace atoll::model::jinja
