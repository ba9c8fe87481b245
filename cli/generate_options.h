#pragma once

// The options of `atoll generate` and how they become a call.

#include <cstdint>
#include <string>
#include <vector>

#include "base/options.h"
#include "base/status.h"
#include "cli/router_client.h"

namespace atoll::cli {

struct GenerateOptions {
  std::string address;
  std::string prompt, prompt_ids, chat, model, logit_bias, stop_token_ids;
  std::vector<std::string> stop;
  double temperature = 0, top_p = 0, min_p = 0, presence_penalty = 0, frequency_penalty = 0, repetition_penalty = 1;
  int64_t top_k = 0, seed = 0, max_tokens = 0, min_tokens = 0, n = 1, logprobs = 0, timeout_ms = 0;
  bool ignore_eos = false, json = false, timing = false;

  void Define(Options* options);
  // FAILED_PRECONDITION where the command line is wrong as a whole (no prompt, or two), INVALID_ARGUMENT for a value.
  absl::StatusOr<GenerateCall> ToCall(const Options& options) const;
};

// Decimal ids apart by commas or white space; at least one.
absl::StatusOr<std::vector<int32_t>> ParseTokenIds(const std::string& text, const std::string& where);

}  // namespace atoll::cli
