#pragma once

// Turns logits into tokens and log-probabilities, a block of rows at a time. Step thread only.

#include <cstdint>
#include <span>
#include <vector>

#include "attention_node/sampling/sequence_sampler.h"
#include "attention_node/sequence_request.h"
#include "base/matrix_view.h"
#include "base/status.h"
#include "kernels/context.h"
#include "kernels/sampling/sampler.h"
#include "kernels/softmax/logprobs.h"

namespace atoll::attention_node {

// One row to sample: the next token of a sequence, or a prompt's row whose next token is given.
struct SampleWish {
  SequenceSampler* sampler = nullptr;
  int32_t generated = 0;  // tokens that the sequence has already
  int32_t logprobs = -1;  // alternatives; -1: no logprobs
  int32_t given = -1;     // the next token: none is chosen, only log-probabilities are wanted
};

struct SampleResult {
  absl::Status status;  // not OK: Internal, no token
  SampledToken token;
};

class TokenSampler {
 public:
  TokenSampler(int32_t vocabulary_size, const kernels::Context& context, int32_t rows_max);

  // logits: float32 [wishes, vocabulary]. `results` gets one entry per wish.
  void Sample(ConstMatrixView logits, std::span<const SampleWish> wishes, std::span<SampleResult> results);

 private:
  void MakeMasks(std::span<const SampleWish> wishes);
  void AddLogprobs(ConstMatrixView logits, std::span<const SampleWish> wishes, std::span<SampleResult> results);

  const kernels::Context context_;
  kernels::Sampler sampler_;
  std::vector<kernels::SamplingRow> rows_;
  std::vector<kernels::SampledToken> tokens_;
  std::vector<kernels::LogNormalizer> normalizers_;
  std::vector<kernels::TokenLogprob> top_;
  std::vector<const SampleWish*> constrained_;  // of this call
};

}  // namespace atoll::attention_node
