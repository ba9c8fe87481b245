// Promise P1 within one node: tokens and log-probability bits of a sequence depend on nothing but the sequence.

#include <gtest/gtest.h>

#include "tests/attention_node/core_world.h"

namespace atoll::attention_node {
namespace {

constexpr uint64_t kProbes = 4;

// A greedy one, and sampled ones with every filter and penalty.
SequenceRequest Probe(uint64_t id) {
  SequenceRequest request = MakeRequest(id, static_cast<int32_t>(10 + 41 * id), 40);
  if (id == 1) return request;
  request.sampling.temperature = 0.7f + 0.2f * static_cast<float>(id);
  request.sampling.top_p = 0.95f;
  request.sampling.top_k = id == 3 ? 20 : 0;
  request.sampling.min_p = id == 4 ? 0.02f : 0;
  request.sampling.presence_penalty = 0.3f;
  request.sampling.frequency_penalty = 0.2f;
  request.sampling.repetition_penalty = 1.1f;
  return request;
}

std::vector<Answer> Answers(const CoreOptions& options, int strangers) {
  CoreWorld world(options);
  for (int i = 0; i < strangers; ++i) {
    SequenceRequest stranger = MakeRequest(1000 + i, 5 + 13 * (i % 9), 20 + i);
    stranger.sampling.temperature = 1;
    EXPECT_TRUE(world.Submit(std::move(stranger)).ok());
    if (i % 3 == 0) world.RunOnce();
    if (i >= static_cast<int>(kProbes)) continue;
    EXPECT_TRUE(world.Submit(Probe(i + 1)).ok());
  }
  for (uint64_t id = strangers + 1; id <= kProbes; ++id) EXPECT_TRUE(world.Submit(Probe(id)).ok());
  EXPECT_TRUE(world.RunToEnd());
  EXPECT_EQ(world.core().load().pages_free, world.core().options().pages);
  std::vector<Answer> answers;
  for (uint64_t id = 1; id <= kProbes; ++id) answers.push_back(world.answer(id));
  return answers;
}

void ExpectSame(const std::vector<Answer>& expected, const std::vector<Answer>& found, const char* what) {
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(expected[i].token_ids, found[i].token_ids) << what << ", probe " << i + 1;
    EXPECT_EQ(expected[i].logprob_bits, found[i].logprob_bits) << what << ", probe " << i + 1;
  }
}

int Preemptions(const std::vector<Answer>& answers) {
  int sum = 0;
  for (const Answer& answer : answers) sum += answer.end->times.preemptions;
  return sum;
}

TEST(CoreExact, NothingAroundASequenceShowsInIt) {
  const std::vector<Answer> alone = Answers({.max_num_seqs = 1}, 0);
  for (const Answer& answer : alone) ASSERT_EQ(answer.token_ids.size(), 40u);
  EXPECT_NE(alone[1].token_ids, alone[2].token_ids);
  ExpectSame(alone, Answers({}, 0), "together");
  ExpectSame(alone, Answers({}, 32), "among 32 strangers");
  ExpectSame(alone, Answers({.max_num_batched_tokens = 16}, 32), "rows of 16, decode rows take turns");
  ExpectSame(alone, Answers({.max_num_batched_tokens = 1}, 0), "one row per step");
  ExpectSame(alone, Answers({.micro_batches = MicroBatchSetting::kTwo}, 32), "two micro-batches");
  ExpectSame(alone, Answers({.micro_batches = MicroBatchSetting::kAuto, .shares_processors = false}, 8), "micro-batches as they come");
}

TEST(CoreExact, PreemptionDoesNotShow) {
  const std::vector<Answer> alone = Answers({.max_num_seqs = 1}, 0);
  const std::vector<Answer> tight = Answers({.pages = 9}, 32);
  ExpectSame(alone, tight, "9 pages");
  ExpectSame(alone, Answers({.max_num_batched_tokens = 16, .pages = 8, .micro_batches = MicroBatchSetting::kTwo}, 12), "8 pages, two micro-batches");
  EXPECT_GT(Preemptions(tight), 0);
}

TEST(CoreExact, AResumedSequenceGoesOnAsIfItHadNeverStopped) {
  const std::vector<Answer> whole = Answers({}, 0);
  CoreWorld world({});
  for (uint64_t id = 1; id <= kProbes; ++id) {
    SequenceRequest rest = Probe(id);
    rest.generated_ids.assign(whole[id - 1].token_ids.begin(), whole[id - 1].token_ids.begin() + 7 * static_cast<int>(id));
    ASSERT_TRUE(world.Submit(std::move(rest)).ok());
  }
  ASSERT_TRUE(world.RunToEnd());
  for (uint64_t id = 1; id <= kProbes; ++id) {
    const std::vector<uint32_t>& bits = whole[id - 1].logprob_bits;
    EXPECT_EQ(world.answer(id).logprob_bits, std::vector<uint32_t>(bits.begin() + 7 * static_cast<int>(id), bits.end())) << "probe " << id;
  }
}

TEST(CoreExact, ChoicesOfOneRequestDifferAndRepeat) {
  CoreWorld world({});
  for (uint32_t index : {0, 1}) {
    SequenceRequest request = Probe(2);
    request.key.id = 10 + index;
    request.sequence_index = index;
    ASSERT_TRUE(world.Submit(std::move(request)).ok());
  }
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_NE(world.answer(10).token_ids, world.answer(11).token_ids);
  EXPECT_EQ(world.answer(10).token_ids, Answers({}, 0)[1].token_ids);
}

}  // namespace
}  // namespace atoll::attention_node
