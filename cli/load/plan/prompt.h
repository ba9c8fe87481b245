#pragma once

// What one request asks: read from a dataset, then settled by the workload.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cli/router_client.h"

namespace atoll::load {

// One entry of a dataset. Without an input, only its lengths count: the workload makes token ids of that length.
struct Prompt {
  std::variant<std::monostate, cli::TextInput, cli::IdsInput, cli::ChatInput> input;
  std::string answer;                    // the recorded answer, for its length
  std::optional<int64_t> prompt_tokens;  // of an entry without an input
  std::optional<int64_t> output_tokens;
  std::optional<int64_t> at_ns;          // when it was recorded, for trace replay
};

// One request as a target sends it.
struct LoadCall {
  uint64_t index = 0;
  std::string request_id{};
  std::variant<cli::TextInput, cli::IdsInput, cli::ChatInput> input{};
  int64_t max_tokens = 0;
  bool ignore_eos = true;
  double temperature = 1;
  uint64_t seed = 0;
  // The client goes away after so many tokens; 0: never.
  int64_t cancel_after_tokens = 0;
};

}  // namespace atoll::load
