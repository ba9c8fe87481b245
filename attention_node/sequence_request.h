#pragma once

// What goes into the core and what comes out: plain values, the same over gRPC and in one process.

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "attention_node/sampling/compiled_constraint.h"
#include "base/status.h"
#include "base/trace/trace_context.h"
#include "model/grammar/constraint.h"

namespace atoll::attention_node {

// A sequence as its submitter knows it: `id` is unique on `stream`, streams are numbered by the node.
struct SequenceKey {
  uint64_t stream = 0;
  uint64_t id = 0;
  friend auto operator<=>(const SequenceKey&, const SequenceKey&) = default;
};

struct SamplingRequest {
  float temperature = 0;  // 0: greedy
  float top_p = 1;
  int32_t top_k = 0;  // 0: off
  float min_p = 0;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  float repetition_penalty = 1;
  std::vector<std::pair<int32_t, float>> logit_bias;
  uint64_t seed = 0;
};

struct SequenceRequest {
  SequenceKey key;
  std::string request_id;
  uint32_t sequence_index = 0;  // which choice of the request: part of the sampling key
  std::vector<int32_t> prompt_ids;
  std::vector<int32_t> generated_ids;  // sampled in an earlier life; rebuilt, not sampled again
  SamplingRequest sampling;
  int64_t max_tokens = 0;  // to sample, generated_ids included
  int64_t min_tokens = 0;
  std::vector<int32_t> stop_token_ids;
  bool ignore_eos = false;
  int32_t logprobs = -1;     // alternatives per token; -1: no logprobs
  bool prompt_logprobs = false;  // of the prompt's tokens from the second on, too
  int64_t deadline_ns = 0;   // on the core's clock; 0: none
  bool report_times = false; // every event has `times`
  std::optional<model::Constraint> constraint = {};   // of the generated text
  std::optional<CompiledConstraint> compiled = {};    // the same, by AttentionCore::Submit
  bool probe = false;        // in no statistics
  trace::TraceContext trace;     // the span that this is part of; may be empty
};

struct SampledToken {
  int32_t token_id = 0;
  float logprob = 0;  // of the raw distribution; 0 where none were asked for
  std::vector<int32_t> top_ids;
  std::vector<float> top_logprobs;
};

enum class EndReason { kStop, kLength, kFailed, kCancelled };

// Wall time summed over the steps that a sequence took part in.
struct StageTimes {
  int64_t queue_ns = 0;
  int64_t attention_ns = 0;  // norms, projections, attention, gate, dense layers, head
  int64_t dispatch_ns = 0;   // posting rows
  int64_t experts_ns = 0;    // the shared expert, then waiting for results
  int64_t combine_ns = 0;
  int64_t sampling_ns = 0;
  int64_t steps = 0;
  int32_t preemptions = 0;
};

struct SequenceEnd {
  EndReason reason = EndReason::kStop;
  absl::Status status;  // not OK where reason is kFailed
  StageTimes times;
};

// What one step brought for one sequence. The last event of a sequence has `end`, and none follows.
struct SequenceEvent {
  SequenceKey key;
  std::vector<SampledToken> tokens;
  std::optional<SequenceEnd> end;
  std::optional<StageTimes> times;  // so far, where asked for
  std::vector<SampledToken> prompt = {};  // log-probabilities of prompt tokens, where asked for
};

}  // namespace atoll::attention_node
