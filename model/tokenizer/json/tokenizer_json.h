#pragma once

// Reads and checks tokenizer.json. The file is hostile until proven otherwise: only DeepSeek-V3's own component set passes.

#include <string_view>

#include "base/status.h"
#include "model/tokenizer/json/definition.h"

namespace atoll::model {

struct TokenizerLimits {
  int64_t ids_max = int64_t{1} << 20;  // ids of tokenizer.json must be below it: the model's vocab_size where it is known
};

// INVALID_ARGUMENT names the component or the token that is wrong: unknown component, duplicate id, gap in the ids, id at or
// above limits.ids_max, empty token, merge of an unknown token, added token that shadows another one.
absl::StatusOr<TokenizerDefinition> ParseTokenizerJson(std::string_view json, const TokenizerLimits& limits);

}  // namespace atoll::model
