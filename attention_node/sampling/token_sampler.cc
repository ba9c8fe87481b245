#include "attention_node/sampling/token_sampler.h"

#include <algorithm>

#include "attention_node/layers/kernel_call.h"

namespace atoll::attention_node {
namespace {

absl::Status StatusOf(kernels::SampleOutcome outcome) {
  switch (outcome) {
    case kernels::SampleOutcome::kToken: return absl::OkStatus();
    case kernels::SampleOutcome::kNonFiniteLogit: return absl::InternalError("head: a non-finite logit");
    case kernels::SampleOutcome::kNothingAllowed: return absl::InternalError("sampling: no token is allowed");
  }
  return absl::InternalError("sampling: unknown outcome");
}

}  // namespace

TokenSampler::TokenSampler(int32_t vocabulary_size, const kernels::Context& context, int32_t rows_max)
    : context_(context), sampler_(vocabulary_size, kernels::Threads(context)), rows_(rows_max), tokens_(rows_max), normalizers_(rows_max) {}

// A mask that was not made before takes some hundred microseconds: rows share the threads.
void TokenSampler::MakeMasks(std::span<const SampleWish> wishes) {
  constrained_.clear();
  for (const SampleWish& wish : wishes) {
    if (wish.given < 0 && wish.sampler->NeedsMask()) constrained_.push_back(&wish);
  }
  if (constrained_.empty()) return;
  kernels::ParallelFor(context_, static_cast<int64_t>(constrained_.size()), [this](int64_t i, int) {
    const SampleWish& wish = *constrained_[static_cast<size_t>(i)];
    wish.sampler->MakeMask(wish.generated);
  });
}

void TokenSampler::Sample(ConstMatrixView logits, std::span<const SampleWish> wishes, std::span<SampleResult> results) {
  MakeMasks(wishes);
  const size_t count = wishes.size(), width = static_cast<size_t>(logits.cols);
  for (size_t i = 0; i < count; ++i) {
    rows_[i] = wishes[i].sampler->RowFor({logits.RowAs<float>(static_cast<int64_t>(i)), width}, wishes[i].generated);
  }
  MustRun(sampler_.Run(context_, std::span(rows_).first(count), std::span(tokens_).first(count)), "sampling");
  for (size_t i = 0; i < count; ++i) {
    const int32_t given = wishes[i].given;
    results[i] = {StatusOf(tokens_[i].outcome), {.token_id = given >= 0 ? given : tokens_[i].token, .top_ids = {}, .top_logprobs = {}}};
  }
  AddLogprobs(logits, wishes, results);
}

void TokenSampler::AddLogprobs(ConstMatrixView logits, std::span<const SampleWish> wishes, std::span<SampleResult> results) {
  const auto wants = [](const SampleWish& wish) { return wish.logprobs >= 0; };
  if (std::none_of(wishes.begin(), wishes.end(), wants)) return;
  MustRun(kernels::LogNormalizers(context_, logits, std::span(normalizers_).first(wishes.size())), "log-probabilities");
  for (size_t i = 0; i < wishes.size(); ++i) {
    if (!wants(wishes[i]) || !results[i].status.ok()) continue;
    const std::span<const float> row(logits.RowAs<float>(static_cast<int64_t>(i)), static_cast<size_t>(logits.cols));
    SampledToken& token = results[i].token;
    token.logprob = normalizers_[i].Logprob(row[token.token_id]);
    top_.resize(wishes[i].logprobs);
    MustRun(kernels::TopLogprobs(row, normalizers_[i], top_), "top log-probabilities");
    for (const kernels::TokenLogprob& top : top_) token.top_ids.push_back(top.token), token.top_logprobs.push_back(top.logprob);
  }
}

}  // namespace atoll::attention_node
