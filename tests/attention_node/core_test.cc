#include "attention_node/core.h"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <random>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/attention_node/core_world.h"

namespace atoll::attention_node {
namespace {

using testing::HasSubstr;

TEST(Core, EndsByLengthAndCountsPages) {
  CoreWorld world({});
  ASSERT_TRUE(world.Submit(MakeRequest(1, 70, 5)).ok());
  world.RunOnce();
  EXPECT_EQ(world.core().load().running, 1);
  EXPECT_EQ(world.core().load().pages_free, 398);
  ASSERT_TRUE(world.RunToEnd());
  const Answer& answer = world.answer(1);
  EXPECT_EQ(answer.token_ids.size(), 5u);
  EXPECT_EQ(answer.end->reason, EndReason::kLength);
  EXPECT_EQ(answer.end->times.steps, 5);
  EXPECT_EQ(world.core().load().running, 0);
  EXPECT_EQ(world.core().load().pages_free, 400);
}

TEST(Core, CountsRoutedRowsByLayerAndPositionClass) {
  CoreWorld world({});
  ASSERT_TRUE(world.Submit(MakeRequest(1, 70, 5)).ok());
  ASSERT_TRUE(world.RunToEnd());
  const std::vector<LayerExpertCounts> counts = world.core().expert_counts().Take();
  ASSERT_EQ(counts.size(), 5u);  // layer 0 is dense
  for (const LayerExpertCounts& layer : counts) {
    EXPECT_EQ(std::accumulate(layer.prompt.begin(), layer.prompt.end(), uint64_t{0}), 70u * 4) << "layer " << layer.layer;
    EXPECT_EQ(std::accumulate(layer.generated.begin(), layer.generated.end(), uint64_t{0}), 4u * 4) << "layer " << layer.layer;
  }
  EXPECT_TRUE(world.core().expert_counts().Take().empty());
}

TEST(Core, StopIdsMinTokensAndIgnoredEnds) {
  CoreWorld world({});
  ASSERT_TRUE(world.Submit(MakeRequest(1, 20, 12)).ok());
  ASSERT_TRUE(world.RunToEnd());
  const std::vector<int32_t> plain = world.answer(1).token_ids;
  const auto again = [&](uint64_t id) {
    SequenceRequest request = MakeRequest(1, 20, 12);
    request.key.id = id;
    return request;
  };
  SequenceRequest stops = again(2);
  stops.stop_token_ids = {plain[4]};
  SequenceRequest later = again(3);
  later.stop_token_ids = {plain[4]};
  later.min_tokens = 12;
  ASSERT_TRUE(world.Submit(stops).ok());
  ASSERT_TRUE(world.Submit(later).ok());
  ASSERT_TRUE(world.RunToEnd());
  const size_t first = std::find(plain.begin(), plain.end(), plain[4]) - plain.begin();
  EXPECT_EQ(world.answer(2).token_ids, std::vector<int32_t>(plain.begin(), plain.begin() + first + 1));
  EXPECT_EQ(world.answer(2).end->reason, EndReason::kStop);
  EXPECT_EQ(world.answer(3).token_ids.size(), 12u);
  EXPECT_THAT(world.answer(3).token_ids, testing::Not(testing::Contains(plain[4])));
}

TEST(Core, LogprobsAreOfTheRawDistributionBestFirst) {
  CoreWorld world({});
  SequenceRequest request = MakeRequest(1, 20, 3);
  request.logprobs = 4;
  request.sampling.logit_bias = {{5, 50.0f}};  // forces token 5, whose raw log-probability stays what it is
  ASSERT_TRUE(world.Submit(request).ok());
  ASSERT_TRUE(world.RunToEnd());
  for (const SampledToken& token : world.answer(1).tokens) {
    EXPECT_EQ(token.token_id, 5);
    ASSERT_EQ(token.top_ids.size(), 4u);
    EXPECT_TRUE(std::is_sorted(token.top_logprobs.rbegin(), token.top_logprobs.rend()));
    EXPECT_LE(token.logprob, token.top_logprobs[0]);
    EXPECT_LT(token.top_logprobs[0], 0);
  }
}

TEST(Core, B52_IdsWithoutATokenAreNeverSampled) {
  CoreWorld world({.token_count = 100});
  SequenceRequest request = MakeRequest(1, 20, 30);
  request.sampling.temperature = 2;
  ASSERT_TRUE(world.Submit(request).ok());
  ASSERT_TRUE(world.RunToEnd());
  for (const int32_t id : world.answer(1).token_ids) EXPECT_LT(id, 100);
}

TEST(Core, CancelFreesPagesInOneStep) {
  CoreWorld world({});
  ASSERT_TRUE(world.Submit(MakeRequest(1, 300, 100)).ok());
  ASSERT_TRUE(world.Submit(MakeRequest(2, 300, 4)).ok());
  world.RunOnce();
  ASSERT_LT(world.core().load().pages_free, 400);
  world.core().Cancel({1, 1});
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(world.answer(1).end->reason, EndReason::kCancelled);
  EXPECT_EQ(world.answer(2).end->reason, EndReason::kLength);
  EXPECT_EQ(world.core().load().pages_free, 400);
}

TEST(Core, AnAbandonedStreamIsSilent) {
  CoreWorld world({});
  ASSERT_TRUE(world.Submit(MakeRequest(1, 30, 100)).ok());
  world.RunOnce();
  const int64_t calls = world.event_calls();
  world.core().CancelStream(1);
  for (int i = 0; i < 3; ++i) world.RunOnce();
  EXPECT_EQ(world.event_calls(), calls);
  EXPECT_EQ(world.core().load().pages_free, 400);
  EXPECT_EQ(world.core().load().running, 0);
}

TEST(Core, F53_ThousandCancelsAtRandomPhasesLeaveNoPageBehind) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  CoreWorld world({.max_num_seqs = 16, .max_num_batched_tokens = 64, .pages = 40});
  uint64_t next = 1;
  for (int cancels = 0; cancels < 1000;) {
    for (; world.open() < 24; ++next) {
      ASSERT_TRUE(world.Submit(MakeRequest(next, 1 + random() % 150, 1 + random() % 20)).ok());
    }
    for (int i = 0; i < 12; ++i, ++cancels) world.core().Cancel({1, next - 1 - random() % 24});
    if (random() % 2 == 0) world.RunOnce();
  }
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(world.core().load().pages_free, 40);
  EXPECT_EQ(world.core().load().running + world.core().load().waiting, 0);
}

// Submit, Cancel and the readings from other threads while steps run; for the thread sanitizer too.
TEST(Core, ManyThreadsSubmitAndCancel) {
  CoreWorld world({.max_num_seqs = 8, .max_num_batched_tokens = 64, .pages = 40, .max_queued = 16});
  constexpr int kThreads = 4, kEach = 40;
  std::atomic<int> accepted{0}, done{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kEach; ++i) {
        const uint64_t id = 1000 * (thread + 1) + i;
        const absl::Status submitted = world.core().Submit(MakeRequest(id, 1 + i % 70, 1 + i % 5));
        if (submitted.ok()) ++accepted;
        else EXPECT_TRUE(absl::IsResourceExhausted(submitted)) << submitted;
        if (i % 2 == 0) world.core().Cancel({1, id});
        EXPECT_LE(world.core().load().running, 8);
        EXPECT_LE(world.core().load().waiting, 16);
      }
      ++done;
    });
  }
  while (done < kThreads || world.core().load().waiting + world.core().load().running > 0) world.RunOnce();
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(accepted, 0);
  EXPECT_EQ(world.ended(), accepted);
  EXPECT_EQ(world.core().load().pages_free, 40);
}

TEST(Core, APassedDeadlineEndsTheSequence) {
  CoreWorld world({});
  SequenceRequest request = MakeRequest(1, 30, 100);
  request.deadline_ns = 1000;
  ASSERT_TRUE(world.Submit(request).ok());
  world.RunOnce();
  EXPECT_FALSE(world.answer(1).end);
  world.clock().AdvanceNs(1000);
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(world.answer(1).end->reason, EndReason::kFailed);
  EXPECT_TRUE(absl::IsDeadlineExceeded(world.answer(1).end->status));
  EXPECT_EQ(world.core().load().pages_free, 400);
}

TEST(Core, AFailedRowEndsItsSequenceOnly) {
  CoreWorld world({});
  ASSERT_TRUE(world.Submit(MakeRequest(1, 5, 4)).ok());
  ASSERT_TRUE(world.RunToEnd());
  LocalExperts& experts = *BundledModel().experts;
  experts.after_post = [](const ExpertDispatch& dispatch, std::vector<FailedRow>& failed) {
    if (dispatch.step == 6 && dispatch.layer == 3) failed.push_back({0, absl::UnavailableError("expert node b was lost: killed")});
  };
  SequenceRequest again = MakeRequest(1, 5, 4);
  again.key.id = 3;
  ASSERT_TRUE(world.Submit(MakeRequest(2, 5, 4)).ok());
  ASSERT_TRUE(world.Submit(again).ok());
  ASSERT_TRUE(world.RunToEnd());
  experts.after_post = {};
  EXPECT_EQ(world.answer(2).end->reason, EndReason::kFailed);
  EXPECT_THAT(std::string(world.answer(2).end->status.message()), HasSubstr("expert node b"));
  EXPECT_EQ(world.answer(3).logprob_bits, world.answer(1).logprob_bits);
}

TEST(Core, RefusesWhatCannotRun) {
  CoreWorld world({.max_model_len = 200, .pages = 2, .max_queued = 2});
  const auto refused = [&](auto change) {
    SequenceRequest request = MakeRequest(99, 10, 5);
    change(request);
    return world.Submit(std::move(request));
  };
  EXPECT_TRUE(absl::IsInvalidArgument(refused([](SequenceRequest& r) { r.prompt_ids.clear(); })));
  EXPECT_THAT(refused([](SequenceRequest& r) { r.prompt_ids[3] = 4096; }).ToString(), HasSubstr("prompt_ids[3] is 4096"));
  EXPECT_TRUE(absl::IsInvalidArgument(refused([](SequenceRequest& r) { r.prompt_ids[0] = -1; })));
  EXPECT_TRUE(absl::IsInvalidArgument(refused([](SequenceRequest& r) { r.max_tokens = 0; })));
  EXPECT_TRUE(absl::IsInvalidArgument(refused([](SequenceRequest& r) { r.max_tokens = 191; })));
  EXPECT_TRUE(absl::IsInvalidArgument(refused([](SequenceRequest& r) { r.max_tokens = int64_t{1} << 60; })));
  EXPECT_TRUE(absl::IsInvalidArgument(refused([](SequenceRequest& r) { r.min_tokens = 6; })));
  EXPECT_TRUE(absl::IsInvalidArgument(refused([](SequenceRequest& r) { r.logprobs = 21; })));
  EXPECT_TRUE(absl::IsInvalidArgument(refused([](SequenceRequest& r) { r.sampling.top_p = 0.0f / 0.0f; })));
  EXPECT_TRUE(absl::IsInvalidArgument(refused([](SequenceRequest& r) { r.sampling.temperature = -1; })));
  EXPECT_TRUE(absl::IsInvalidArgument(refused([](SequenceRequest& r) { r.sampling.logit_bias = {{5000, 1.0f}}; })));
  EXPECT_TRUE(absl::IsResourceExhausted(refused([](SequenceRequest& r) { r.max_tokens = 130; })));  // three pages
  ASSERT_TRUE(world.Submit(MakeRequest(1, 5, 2)).ok());
  ASSERT_TRUE(world.Submit(MakeRequest(2, 5, 2)).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(world.Submit(MakeRequest(3, 5, 2))));
  ASSERT_TRUE(world.RunToEnd());
}

TEST(Core, B34_RefusesOptionsThatContradictTheModel) {
  TestModel& model = BundledModel();
  const SteadyClock clock;
  const CoreParts parts{.shard = &model.shard, .eos_ids = {}, .kernels = {}, .exchange = model.experts.get(), .sink = nullptr, .clock = &clock};
  EXPECT_THAT(AttentionCore::Create({.max_model_len = 4096, .pages = 10}, parts).status().ToString(), HasSubstr("max-model-len"));
  EXPECT_THAT(AttentionCore::Create({.pages = 0}, parts).status().ToString(), HasSubstr("kv-cache-memory-bytes"));
}

}  // namespace
}  // namespace atoll::attention_node
