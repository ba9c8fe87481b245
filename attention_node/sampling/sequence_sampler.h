#pragma once

// What sampling knows about one sequence: its parameters, what it has seen, which ids it may not choose now, and when it
// ends. Owned by the step thread.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "attention_node/sequence_request.h"
#include "kernels/sampling/row_state.h"
#include "kernels/sampling/sampler.h"
#include "kernels/sampling/sampling_params.h"

namespace atoll::attention_node {

// Of the model, the same for all sequences.
struct Vocabulary {
  int32_t size = 0;                     // rows of the head
  std::vector<int32_t> eos_ids;
  std::vector<int32_t> padding_ids;     // rows without a token: never chosen
};

kernels::SamplingParams SamplingParamsOf(const SamplingRequest& request);

class SequenceSampler {
 public:
  // `request` and `vocabulary` outlive it. The request's generated_ids count as seen.
  SequenceSampler(const SequenceRequest& request, const Vocabulary& vocabulary);

  // What the kernel needs to choose token number `generated` (from 0) of the sequence.
  kernels::SamplingRow RowFor(std::span<const float> logits, int32_t generated) const;
  void AddGenerated(int32_t token);
  // Whether the sequence ends with `token`, its `generated`-th one (from 1).
  std::optional<EndReason> EndAfter(int32_t token, int32_t generated) const;

 private:
  bool Stops(int32_t token) const;

  const SequenceRequest& request_;
  const Vocabulary& vocabulary_;
  const kernels::SamplingParams params_;
  kernels::RowState state_;
  std::vector<int32_t> stop_ids_;      // end tokens that count, ascending
  std::vector<int32_t> early_masked_;  // before min_tokens: the stop ids too
};

}  // namespace atoll::attention_node
