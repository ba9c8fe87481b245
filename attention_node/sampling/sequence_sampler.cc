#include "attention_node/sampling/sequence_sampler.h"

#include <algorithm>

namespace atoll::attention_node {

kernels::SamplingParams SamplingParamsOf(const SamplingRequest& request) {
  kernels::SamplingParams params{.temperature = request.temperature,
                                 .top_k = request.top_k,
                                 .top_p = request.top_p,
                                 .min_p = request.min_p,
                                 .presence_penalty = request.presence_penalty,
                                 .frequency_penalty = request.frequency_penalty,
                                 .repetition_penalty = request.repetition_penalty,
                                 .logit_bias = {},
                                 .seed = request.seed};
  for (const auto& [token, bias] : request.logit_bias) params.logit_bias.push_back({token, bias});
  return params;
}

SequenceSampler::SequenceSampler(const SequenceRequest& request, const Vocabulary& vocabulary)
    : request_(request), vocabulary_(vocabulary), params_(SamplingParamsOf(request.sampling)), stop_ids_(request.stop_token_ids) {
  if (!request.ignore_eos) stop_ids_.insert(stop_ids_.end(), vocabulary.eos_ids.begin(), vocabulary.eos_ids.end());
  std::sort(stop_ids_.begin(), stop_ids_.end());
  stop_ids_.erase(std::unique(stop_ids_.begin(), stop_ids_.end()), stop_ids_.end());
  if (request.min_tokens > 0) {
    early_masked_ = vocabulary.padding_ids;
    early_masked_.insert(early_masked_.end(), stop_ids_.begin(), stop_ids_.end());
  }
  if (!params_.HasPenalties()) return;
  state_.AddPrompt(request.prompt_ids);
  for (const int32_t token : request.generated_ids) state_.AddGenerated(token);
}

kernels::SamplingRow SequenceSampler::RowFor(std::span<const float> logits, int32_t generated) const {
  const bool early = generated < request_.min_tokens;
  return {.logits = logits,
          .params = &params_,
          .state = params_.HasPenalties() ? &state_ : nullptr,
          .masked_ids = early ? early_masked_ : vocabulary_.padding_ids,
          .sequence_index = request_.sequence_index,
          .position = static_cast<uint32_t>(request_.prompt_ids.size()) + static_cast<uint32_t>(generated)};
}

void SequenceSampler::AddGenerated(int32_t token) {
  if (params_.HasPenalties()) state_.AddGenerated(token);
}

bool SequenceSampler::Stops(int32_t token) const { return std::binary_search(stop_ids_.begin(), stop_ids_.end(), token); }

std::optional<EndReason> SequenceSampler::EndAfter(int32_t token, int32_t generated) const {
  if (generated >= request_.min_tokens && Stops(token)) return EndReason::kStop;
  if (generated >= request_.max_tokens) return EndReason::kLength;
  return std::nullopt;
}

}  // namespace atoll::attention_node
