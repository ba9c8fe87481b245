#pragma once

// What sampling knows about one sequence: its parameters, what it has seen, which ids it may not choose now, and when it
// ends. Owned by the step thread.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "attention_node/sampling/constrained_text.h"
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
  // All outlive it; `constraints` may be null where the request has none. The request's generated_ids count as seen; they fit its
  // constraint.
  SequenceSampler(const SequenceRequest& request, const Vocabulary& vocabulary, Constraints* constraints = nullptr);

  // Before RowFor, where NeedsMask. May run beside other sequences', on any thread.
  bool NeedsMask() const { return constrained_ && !constrained_->free(); }
  void MakeMask(int32_t generated) { constrained_->MakeMask(generated < request_.min_tokens ? std::span<const int32_t>() : std::span<const int32_t>(ends_)); }

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
  std::vector<int32_t> early_masked_;  // where it may not end yet: the stop ids too
  std::optional<ConstrainedText> constrained_;
  std::vector<int32_t> ends_;          // stop ids that are no part of a constrained text, ascending
};

}  // namespace atoll::attention_node
