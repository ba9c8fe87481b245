#include "attention_node/step.h"

#include <gtest/gtest.h>

namespace atoll::attention_node {
namespace {

Sequence MakeSequence(uint64_t id, std::vector<int32_t> prompt, std::vector<int32_t> generated = {}) {
  SequenceRequest request;
  request.key = {1, id};
  request.prompt_ids = std::move(prompt);
  request.generated_ids = std::move(generated);
  request.max_tokens = 100;
  return Sequence(std::move(request), 0);
}

TEST(MicroBatches, OneWhereTheProcessorsAreShared) {
  EXPECT_EQ(ChooseMicroBatches(64, true, MicroBatchSetting::kAuto), 1);
  EXPECT_EQ(ChooseMicroBatches(64, false, MicroBatchSetting::kAuto), 2);
  EXPECT_EQ(ChooseMicroBatches(15, false, MicroBatchSetting::kAuto), 1);
  EXPECT_EQ(ChooseMicroBatches(64, false, MicroBatchSetting::kOne), 1);
  EXPECT_EQ(ChooseMicroBatches(2, true, MicroBatchSetting::kTwo), 2);
  EXPECT_EQ(ChooseMicroBatches(1, true, MicroBatchSetting::kTwo), 1);
  EXPECT_EQ(ChooseMicroBatches(0, true, MicroBatchSetting::kTwo), 0);
}

TEST(BuildStep, SamplesOnlyWhereTheNextTokenIsUnknown) {
  Sequence prompt = MakeSequence(1, {5, 6, 7, 8});
  Sequence decode = MakeSequence(2, {9}, {10});
  decode.AddComputed(1, 1);
  StepPlan plan;
  BuildStep(std::vector<StepShare>{{&prompt, 3}, {&decode, 1}}, 1, plan);
  ASSERT_EQ(plan.rows.size(), 4u);
  ASSERT_EQ(plan.micro_batches.size(), 1u);
  EXPECT_EQ(plan.micro_batches[0].generated_count, 1);
  EXPECT_EQ(plan.rows[0].token, 10);
  EXPECT_EQ(plan.rows[0].position_class, PositionClass::kGenerated);
  EXPECT_TRUE(plan.rows[0].sample);
  EXPECT_EQ(plan.rows[1].token, 5);
  EXPECT_EQ(plan.rows[3].position, 2);
  EXPECT_FALSE(plan.rows[3].sample);
  EXPECT_EQ(plan.sequences[plan.rows[3].sequence].key.id, 1u);
}

// A recomputed sequence has rows of both classes: across the cut they stay in position order.
TEST(BuildStep, KeepsPositionOrderAcrossMicroBatches) {
  Sequence again = MakeSequence(1, {1, 2, 3, 4, 5}, {6, 7, 8});
  Sequence other = MakeSequence(2, {1, 2});
  StepPlan plan;
  BuildStep(std::vector<StepShare>{{&again, 8}, {&other, 2}}, 2, plan);
  ASSERT_EQ(plan.micro_batches.size(), 2u);
  EXPECT_EQ(plan.micro_batches[0].row_count, 5);
  EXPECT_EQ(plan.micro_batches[0].generated_count, 0);
  EXPECT_EQ(plan.micro_batches[1].generated_count, 3);
  int32_t last_of_first = 0;
  for (int i = 0; i < 5; ++i) last_of_first = std::max(last_of_first, plan.rows[i].position);
  for (int i = 5; i < 8; ++i) EXPECT_GT(plan.rows[i].position, last_of_first);
  EXPECT_TRUE(plan.rows[7].sample);
}

}  // namespace
}  // namespace atoll::attention_node
