#pragma once

// What an attention node reports of one sequence. Plain values.

#include <cstdint>
#include <optional>
#include <vector>

#include "base/status.h"

namespace atoll::router {

struct TokenLogprob {
  int32_t token_id = 0;
  float logprob = 0;
};

struct SampledToken {
  int32_t token_id = 0;
  float logprob = 0;
  std::vector<TokenLogprob> top;  // best first
};

enum class EndReason { kStop, kLength, kFailed, kCancelled };

// Wall time in microseconds, summed over the steps that the sequence took part in.
struct StageTimes {
  int64_t queue_us = 0;
  int64_t attention_us = 0;
  int64_t dispatch_us = 0;
  int64_t experts_us = 0;
  int64_t combine_us = 0;
  int64_t sampling_us = 0;
  int64_t steps = 0;
};

struct SequenceEnd {
  EndReason reason = EndReason::kFailed;
  absl::Status failure;  // of kFailed
  StageTimes times;
};

struct SequenceEvent {
  std::vector<SampledToken> prompt = {};  // log-probabilities of prompt tokens from the second on, before the first token
  std::vector<SampledToken> tokens = {};
  std::optional<SequenceEnd> end = {};
  std::optional<StageTimes> times;  // so far; in every event of a request with stop strings
};

}  // namespace atoll::router
