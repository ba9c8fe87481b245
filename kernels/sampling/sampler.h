#pragma once

// Choice of the next token: Sample(logits, params, state) is pure; its noise is keyed by (seed, sequence index, position, token id).
//
// Order (vLLM's): logit bias and masked ids -> repetition, frequency, presence penalty -> [greedy: the largest logit] ->
// temperature -> min-p -> top-k -> top-p -> Gumbel-max over what is left. In detail, x a logit, all in float32:
// - x += bias; masked ids and those that are not allowed become -infinity; seen tokens: x = x > 0 ? x / repetition : x * repetition; generated tokens:
//   x -= frequency * count, then x -= presence.
// - d = x / temperature - max / temperature. min-p keeps d >= Log(min_p). top-k keeps the k first in the order (larger d, then lower
//   id). top-p: a token's mass is Exp(d) in units of 2^-32, rounded down; a token stays while the mass of those before it in
//   that order is below floor(top_p * total), at least 1; total: of all that top-k left. Whole numbers, so no order of adding.
// - The token with the largest d + noise is taken (philox.h). One that cannot win with the largest noise there is gets none.
// Ties everywhere: the lower id. Every path gives the same token.

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/context.h"
#include "kernels/kernel_error.h"
#include "kernels/sampling/row_state.h"
#include "kernels/sampling/sampling_params.h"

namespace atoll::kernels {

struct SamplingRow {
  std::span<const float> logits;               // [vocabulary]
  const SamplingParams* params = nullptr;      // checked by CheckSamplingParams
  const RowState* state = nullptr;             // null: nothing seen
  std::span<const int32_t> masked_ids = {};        // never chosen (padded vocabulary, end tokens before min_tokens)
  std::span<const uint64_t> allowed = {};          // bit id % 64 of word id / 64; ids beyond are not allowed. Empty: all are
  uint32_t sequence_index = 0;                 // which of the request's n sequences
  uint32_t position = 0;                       // of the token to be chosen
};

enum class SampleOutcome : uint8_t {
  kToken = 0,
  kNonFiniteLogit = 1,     // this sequence has to end with an error
  kNothingAllowed = 2,     // no id is allowed that is not masked
};

struct SampledToken {
  SampleOutcome outcome = SampleOutcome::kToken;
  int32_t token = -1;      // -1 unless kToken
};

// Owns the workspace for rows of up to `vocabulary_max` logits on up to `threads` threads, so that Run allocates nothing.
// One Run at a time.
class Sampler {
 public:
  Sampler(int64_t vocabulary_max, int threads);

  // One token per row; rows are independent. Fails on shapes only: contents go to each row's outcome.
  KernelError Run(const Context& context, std::span<const SamplingRow> rows, std::span<SampledToken> tokens);

 private:
  struct Workspace {   // of one thread, [vocabulary_max] each
    std::vector<float> logits;
    std::vector<float> exps;
    std::vector<int32_t> ids;
  };
  int64_t vocabulary_max_ = 0;
  std::vector<Workspace> workspaces_;
};

}  // namespace atoll::kernels
