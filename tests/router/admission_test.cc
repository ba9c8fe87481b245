#include "router/admission.h"

#include <gtest/gtest.h>

#include "base/error_info.h"
#include "router/attention/choose_node.h"

namespace atoll::router {
namespace {

TEST(Admission, BoundsRequests) {
  Admission admission({.requests_max = 2, .queued_prompt_tokens_max = 1000});
  EXPECT_TRUE(admission.Admit(1, 0).ok());
  EXPECT_TRUE(admission.Admit(1, 0).ok());
  const absl::Status refused = admission.Admit(1, 0.5);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(GetErrorInfo(refused)->reason, "TOO_MANY_REQUESTS");
  EXPECT_EQ(GetErrorInfo(refused)->retry_after_ms, 750);
  admission.Release();
  EXPECT_TRUE(admission.Admit(1, 0).ok());
}

TEST(Admission, BoundsPromptTokensThatWait) {
  Admission admission({.requests_max = 100, .queued_prompt_tokens_max = 1000});
  EXPECT_TRUE(admission.Admit(600, 0).ok());
  EXPECT_EQ(GetErrorInfo(admission.Admit(401, 0))->reason, "TOO_MANY_QUEUED_TOKENS");
  EXPECT_TRUE(admission.Admit(400, 0).ok());
  admission.PromptDone(600);
  EXPECT_TRUE(admission.Admit(600, 0).ok());
}

TEST(Admission, AnIdleRouterTakesAnyPrompt) {
  Admission admission({.requests_max = 100, .queued_prompt_tokens_max = 1000});
  EXPECT_TRUE(admission.Admit(5000, 0).ok());
  EXPECT_FALSE(admission.Admit(1, 0).ok());
}

TEST(Admission, DrainRefusesWithUnavailable) {
  Admission admission({});
  admission.Drain();
  EXPECT_EQ(admission.Admit(1, 0).code(), absl::StatusCode::kUnavailable);
}

AttentionLoad Load(int64_t sequences, int32_t max_num_seqs, int64_t prompt_tokens = 0) {
  return {.sequences = sequences, .prompt_tokens = prompt_tokens, .max_num_seqs = max_num_seqs, .max_queued = 2, .max_model_len = 100};
}

TEST(ChooseAttentionNode, TakesTheSmallestPartOfItsSeats) {
  const AttentionLoad loads[] = {Load(4, 8), Load(5, 16), Load(1, 2)};
  EXPECT_EQ(*ChooseAttentionNode(loads, 1, 10), 1u);
}

TEST(ChooseAttentionNode, BreaksTiesByPromptTokensThenByOrder) {
  const AttentionLoad loads[] = {Load(2, 8, 50), Load(2, 8, 20), Load(2, 8, 20)};
  EXPECT_EQ(*ChooseAttentionNode(loads, 1, 10), 1u);
}

TEST(ChooseAttentionNode, RefusesWhenAllAreFull) {
  const AttentionLoad loads[] = {Load(10, 8), Load(18, 16)};
  const absl::Status status = ChooseAttentionNode(loads, 1, 10).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(GetErrorInfo(status)->retry_after_ms.has_value());
}

TEST(ChooseAttentionNode, PassesOverNodesWithoutRoomForAllSequences) {
  const AttentionLoad loads[] = {Load(1, 2), Load(10, 16)};
  EXPECT_EQ(*ChooseAttentionNode(loads, 4, 10), 1u);
}

TEST(ChooseAttentionNode, AnIdleNodeTakesAnyFanOut) {
  const AttentionLoad loads[] = {Load(0, 2)};
  EXPECT_EQ(*ChooseAttentionNode(loads, 128, 10), 0u);
}

TEST(ChooseAttentionNode, RefusesWhatNoNodeCanHold) {
  const AttentionLoad loads[] = {Load(0, 2)};
  EXPECT_EQ(ChooseAttentionNode(loads, 1, 101).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace atoll::router
