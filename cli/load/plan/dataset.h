#pragma once

// Datasets: the built-in texts, JSON lines, and the ShareGPT form (one JSON array of conversations). A file is hostile
// until checked; what is wrong is named with its line or entry.

#include <cstdint>
#include <istream>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/load/plan/prompt.h"

namespace atoll::load {

struct DatasetLimits {
  int64_t entries = 10000;  // further entries are not read
  int64_t line_bytes = 4 << 20;
  int64_t array_bytes = int64_t{1} << 30;  // of a ShareGPT file
};

// A few dozen short passages of prose, facts, code and questions.
std::vector<Prompt> BuiltinTexts();

// One object per line, any of: "prompt" (text) or "token_ids" or "messages" [{"role", "content"}], else "input_length"
// alone; "output_length" or "max_tokens"; "timestamp" in milliseconds. Other keys are ignored, empty lines skipped.
absl::StatusOr<std::vector<Prompt>> ReadJsonLines(std::istream& in, const DatasetLimits& limits);

// [{"conversations": [{"from": "human", "value": ...}, {"from": "gpt", "value": ...}, ...]}, ...]: the first human turn is
// the prompt, the turn after it the recorded answer. Entries without both are skipped.
absl::StatusOr<std::vector<Prompt>> ReadShareGpt(std::istream& in, const DatasetLimits& limits);

// A file in either form: one that starts with '[' is ShareGPT's. INVALID_ARGUMENT where it holds no entry.
absl::StatusOr<std::vector<Prompt>> ReadDatasetFile(const std::string& path, const DatasetLimits& limits);

}  // namespace atoll::load
