#pragma once

// What tokenizer_config.json says, as far as it concerns Atoll. tokenizer_class is not believed (DeepSeek's says
// LlamaTokenizerFast and is not one): tokenizer.json alone decides how text is cut.

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace atoll::model {

struct TokenizerConfig {
  bool add_bos = false;                        // a plain prompt gets BOS in front
  std::optional<std::string> bos_token;        // content of the token, not its id
  std::optional<std::string> eos_token;
  std::optional<std::string> chat_template;    // Jinja text; of several the one named "default"
};

// Fields that are missing keep their defaults. INVALID_ARGUMENT: not JSON, a field of the wrong type, a text over 1 MiB.
absl::StatusOr<TokenizerConfig> ParseTokenizerConfig(std::string_view json);

}  // namespace atoll::model
