#pragma once

// The parts of tokenizer.json around the vocabulary: each is either exactly one that the code of this folder does, or refused.

#include <nlohmann/json_fwd.hpp>

#include "base/status.h"

namespace atoll::model {

// `root` is the whole file. Checks every top-level field, and of "model" all but its vocab and merges.
absl::Status CheckComponents(const nlohmann::json& root);

}  // namespace atoll::model
