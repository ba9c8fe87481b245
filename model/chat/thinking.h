#pragma once

#include <string_view>

namespace atoll::model {

// Whether a prompt that ends with `text` makes the model begin inside its thinking.
bool EndsInsideThinking(std::string_view text);

}  // namespace atoll::model
