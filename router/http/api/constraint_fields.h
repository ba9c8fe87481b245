#pragma once

// What an answer has to be: response_format, and vLLM's words for the same.

#include <optional>
#include <string_view>

#include "model/grammar/constraint.h"
#include "router/http/json/json_fields.h"

namespace atoll::router::http {

// Nothing where any text will do. `text`: the body as it was written, since a schema's properties have an order. Errors are left in `fields`.
std::optional<model::Constraint> ReadConstraint(JsonFields& fields, std::string_view text);

}  // namespace atoll::router::http
