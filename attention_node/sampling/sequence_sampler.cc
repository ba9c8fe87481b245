#include "attention_node/sampling/sequence_sampler.h"

#include <algorithm>

#include "base/check.h"

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

SequenceSampler::SequenceSampler(const SequenceRequest& request, const Vocabulary& vocabulary, Constraints* constraints)
    : request_(request), vocabulary_(vocabulary), params_(SamplingParamsOf(request.sampling)), stop_ids_(request.stop_token_ids) {
  if (request.compiled) constrained_.emplace(*request.compiled, *constraints);
  // A document has an end, whatever the request says of end tokens.
  if (!request.ignore_eos || constrained_) stop_ids_.insert(stop_ids_.end(), vocabulary.eos_ids.begin(), vocabulary.eos_ids.end());
  std::sort(stop_ids_.begin(), stop_ids_.end());
  stop_ids_.erase(std::unique(stop_ids_.begin(), stop_ids_.end()), stop_ids_.end());
  for (const int32_t id : stop_ids_) {
    if (constrained_ && !constrained_->MayHave(id)) ends_.push_back(id);
  }
  if (request.min_tokens > 0 || constrained_) {
    early_masked_ = vocabulary.padding_ids;
    early_masked_.insert(early_masked_.end(), stop_ids_.begin(), stop_ids_.end());
  }
  if (params_.HasPenalties()) state_.AddPrompt(request.prompt_ids);
  for (const int32_t token : request.generated_ids) AddGenerated(token);
}

kernels::SamplingRow SequenceSampler::RowFor(std::span<const float> logits, int32_t generated) const {
  // Where a mask says what may come, it says so of ends too.
  const bool early = !NeedsMask() && (generated < request_.min_tokens || (constrained_ && !constrained_->may_end()));
  return {.logits = logits,
          .params = &params_,
          .state = params_.HasPenalties() ? &state_ : nullptr,
          .masked_ids = early ? early_masked_ : vocabulary_.padding_ids,
          .allowed = NeedsMask() ? constrained_->mask() : std::span<const uint64_t>(),
          .sequence_index = request_.sequence_index,
          .position = static_cast<uint32_t>(request_.prompt_ids.size()) + static_cast<uint32_t>(generated)};
}

void SequenceSampler::AddGenerated(int32_t token) {
  if (params_.HasPenalties()) state_.AddGenerated(token);
  if (!constrained_ || std::binary_search(ends_.begin(), ends_.end(), token)) return;
  ATOLL_CHECK(constrained_->Take(token), "the constraint does not take the token " + std::to_string(token) + ", which its mask let through");
}

bool SequenceSampler::Stops(int32_t token) const { return std::binary_search(stop_ids_.begin(), stop_ids_.end(), token); }

std::optional<EndReason> SequenceSampler::EndAfter(int32_t token, int32_t generated) const {
  if (generated >= request_.min_tokens && Stops(token)) return EndReason::kStop;
  if (constrained_ && constrained_->finished()) return EndReason::kStop;
  if (generated >= request_.max_tokens) return EndReason::kLength;
  return std::nullopt;
}

}  // namespace atoll::attention_node
