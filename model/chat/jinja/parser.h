#pragma once

#include <string_view>

#include "base/status.h"
#include "model/chat/jinja/syntax.h"

namespace atoll::model::jinja {

// The subset of Jinja that DeepSeek's templates and simpler ones are written in: text, print, set, for, if.
// INVALID_ARGUMENT names the first construct outside it, with its place.
absl::StatusOr<Body> ParseTemplate(std::string_view source);

}  // namespace atoll::model::jinja
