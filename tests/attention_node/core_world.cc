#include "tests/attention_node/core_world.h"

#include "base/check.h"
#include "model/tokenizer/folder_tokenizer.h"

namespace atoll::attention_node {

TestModel& BundledModel() {
  static TestModel model = [] {
    const kernels::Context context{kernels::DetectIsa(), nullptr};
    auto checkpoint = model::Checkpoint::Open(std::string(ATOLL_SOURCE_DIR) + "/checkpoints/tales");
    ATOLL_CHECK(checkpoint.ok(), checkpoint.status().ToString());
    auto shard = LoadAttentionShard(**checkpoint, context, {});
    ATOLL_CHECK(shard.ok(), shard.status().ToString());
    auto experts = LocalExperts::Load(**checkpoint, context, 512);
    ATOLL_CHECK(experts.ok(), experts.status().ToString());
    const std::vector<int64_t>& eos = (*checkpoint)->config().eos_token_ids;
    auto tokenizer = model::FolderTokenizer::Load(std::string(ATOLL_SOURCE_DIR) + "/checkpoints/tales", {.ids_max = 1 << 20});
    ATOLL_CHECK(tokenizer.ok(), tokenizer.status().ToString());
    auto vocabulary = model::grammar::Vocabulary::Make(model::grammar::TokensOf(*tokenizer->tokenizer()));
    ATOLL_CHECK(vocabulary.ok(), vocabulary.status().ToString());
    return TestModel{*std::move(shard), {eos.begin(), eos.end()}, *std::move(experts), std::make_unique<Constraints>(*std::move(vocabulary))};
  }();
  return model;
}

CoreWorld::CoreWorld(CoreOptions options, trace::Tracer* tracer) {
  TestModel& model = BundledModel();
  if (options.pages == 0) options.pages = 400;
  auto core = AttentionCore::Create(options, {.shard = &model.shard,
                                              .eos_ids = model.eos_ids,
                                              .kernels = {kernels::DetectIsa(), nullptr},
                                              .exchange = model.experts.get(),
                                              .sink = this,
                                              .clock = &clock_,
                                              .constraints = model.constraints.get(),
                                              .tracer = tracer});
  ATOLL_CHECK(core.ok(), core.status().ToString());
  core_ = *std::move(core);
}

void CoreWorld::OnEvents(std::span<SequenceEvent> events) {
  ++event_calls_;
  for (SequenceEvent& event : events) {
    Answer& answer = answers_[event.key.id];
    ATOLL_CHECK(!answer.end, "an event after the last one");
    for (SampledToken& token : event.tokens) {
      answer.token_ids.push_back(token.token_id);
      answer.logprob_bits.push_back(std::bit_cast<uint32_t>(token.logprob));
      answer.tokens.push_back(std::move(token));
    }
    if (!event.end) continue;
    answer.end = event.end;
    --open_;
    ++ended_;
  }
}

absl::Status CoreWorld::Submit(SequenceRequest request) {
  const absl::Status submitted = core_->Submit(std::move(request));
  if (submitted.ok()) ++open_;
  return submitted;
}

bool CoreWorld::RunToEnd() {
  for (int step = 0; step < 20000 && open_ > 0; ++step) RunOnce();
  return open_ == 0;
}

SequenceRequest MakeRequest(uint64_t id, int32_t prompt_count, int64_t max_tokens) {
  SequenceRequest request;
  request.key = {1, id};
  for (int32_t i = 0; i < prompt_count; ++i) request.prompt_ids.push_back(static_cast<int32_t>((id * 7919 + i * i * 31 + i) % 4000));
  request.max_tokens = max_tokens;
  request.ignore_eos = true;
  request.logprobs = 0;
  request.sampling.seed = id;
  return request;
}

}  // namespace atoll::attention_node
