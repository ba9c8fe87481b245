// Constrained sequences in a core that serves others too: what they write is valid, and promise P1 holds for them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/attention_node/core_world.h"
#include "tests/grammar/schema_oracle.h"

namespace atoll::attention_node {
namespace {

using model::grammar::WhyInvalid;

constexpr int32_t kThinkingEnd = 4095, kEndOfSequence = 1;
constexpr char kPerson[] =
    R"({"type":"object","properties":{"name":{"type":"string","minLength":2,"maxLength":12},"age":{"type":"integer","minimum":1,"maximum":99},"tags":{"type":"array","items":{"enum":["a","b","cc"]},"minItems":1,"maxItems":3}},"required":["name","age","tags"]})";

SequenceRequest Constrained(uint64_t id, const std::string& schema = kPerson, int64_t max_tokens = 300) {
  SequenceRequest request = MakeRequest(id, static_cast<int32_t>(10 + id * 17 % 150), max_tokens);
  request.constraint = model::Constraint{.kind = model::JsonSchema{schema}};
  request.ignore_eos = false;
  request.sampling.temperature = 1;
  return request;
}

std::string TextOf(const Answer& answer) {
  std::string text;
  for (const int32_t id : answer.token_ids) {
    if (id != kEndOfSequence) text += BundledModel().constraints->vocabulary().BytesOf(id);
  }
  return text;
}

TEST(CoreConstraint, ASequenceEndsWithItsDocument) {
  CoreWorld world({});
  for (uint64_t id = 1; id <= 60; ++id) ASSERT_TRUE(world.Submit(Constrained(id)).ok());
  ASSERT_TRUE(world.RunToEnd());
  for (uint64_t id = 1; id <= 60; ++id) {
    const Answer& answer = world.answer(id);
    ASSERT_EQ(answer.end->reason, EndReason::kStop) << answer.end->status;
    EXPECT_EQ(WhyInvalid(kPerson, TextOf(answer)), "") << id;
    EXPECT_EQ(TextOf(answer).back(), '}');
  }
}

TEST(CoreConstraint, MaxTokensCutADocumentAndSayLength) {
  CoreWorld world({});
  ASSERT_TRUE(world.Submit(Constrained(1, kPerson, 3)).ok());
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(world.answer(1).end->reason, EndReason::kLength);
  EXPECT_EQ(world.answer(1).token_ids.size(), 3u);
}

TEST(CoreConstraint, IgnoredEndsAndMinTokensDoNotOutliveADocument) {
  CoreWorld world({});
  SequenceRequest request = Constrained(1, R"({"enum":["yes","no"]})");
  request.ignore_eos = true;
  request.min_tokens = 100;
  ASSERT_TRUE(world.Submit(request).ok());
  // A number has no closing mark: it goes on, or the end of sequence ends it.
  SequenceRequest number = Constrained(2, R"({"type":"number","minimum":0})");
  number.ignore_eos = true;
  ASSERT_TRUE(world.Submit(number).ok());
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(world.answer(1).end->reason, EndReason::kStop) << world.answer(1).end->status;
  EXPECT_EQ(WhyInvalid(R"({"enum":["yes","no"]})", TextOf(world.answer(1))), "");
  EXPECT_EQ(world.answer(2).end->reason, EndReason::kStop) << world.answer(2).end->status;
  EXPECT_EQ(WhyInvalid(R"({"type":"number"})", TextOf(world.answer(2))), "");
}

std::vector<Answer> Probes(const CoreOptions& options, int strangers) {
  CoreWorld world(options);
  for (int i = 0; i < strangers; ++i) {
    SequenceRequest stranger = i % 2 == 0 ? MakeRequest(1000 + i, 5 + 13 * (i % 9), 20 + i) : Constrained(1000 + i, R"({"type":"string","maxLength":30})");
    EXPECT_TRUE(world.Submit(std::move(stranger)).ok());
    if (i % 3 == 0) world.RunOnce();
  }
  for (uint64_t id = 1; id <= 4; ++id) EXPECT_TRUE(world.Submit(Constrained(id)).ok());
  EXPECT_TRUE(world.RunToEnd());
  std::vector<Answer> answers;
  for (uint64_t id = 1; id <= 4; ++id) answers.push_back(world.answer(id));
  return answers;
}

void ExpectSame(const std::vector<Answer>& expected, const std::vector<Answer>& found, const char* what) {
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(expected[i].token_ids, found[i].token_ids) << what << ", probe " << i + 1;
    EXPECT_EQ(expected[i].logprob_bits, found[i].logprob_bits) << what << ", probe " << i + 1;
  }
}

TEST(CoreConstraint, NothingAroundASequenceShowsInIt) {
  const std::vector<Answer> alone = Probes({.max_num_seqs = 1}, 0);
  ExpectSame(alone, Probes({}, 24), "among strangers");
  ExpectSame(alone, Probes({.max_num_batched_tokens = 16}, 8), "rows of 16");
  const std::vector<Answer> tight = Probes({.pages = 9}, 24);
  ExpectSame(alone, tight, "9 pages");
  int preemptions = 0;
  for (const Answer& answer : tight) preemptions += answer.end->times.preemptions;
  EXPECT_GT(preemptions, 0);
}

TEST(CoreConstraint, AResumedSequenceGoesOnWhereItsTextStands) {
  const std::vector<Answer> whole = Probes({}, 0);
  CoreWorld world({});
  for (uint64_t id = 1; id <= 4; ++id) {
    const std::vector<int32_t>& ids = whole[id - 1].token_ids;
    SequenceRequest rest = Constrained(id);
    rest.generated_ids.assign(ids.begin(), ids.begin() + static_cast<int64_t>(ids.size() / 2));
    ASSERT_TRUE(world.Submit(std::move(rest)).ok());
  }
  SequenceRequest foreign = Constrained(9);
  foreign.generated_ids = {kThinkingEnd};
  EXPECT_TRUE(absl::IsInvalidArgument(world.Submit(foreign)));
  ASSERT_TRUE(world.RunToEnd());
  for (uint64_t id = 1; id <= 4; ++id) {
    const std::vector<int32_t>& ids = whole[id - 1].token_ids;
    EXPECT_EQ(world.answer(id).token_ids, std::vector<int32_t>(ids.begin() + static_cast<int64_t>(ids.size() / 2), ids.end()));
  }
}

TEST(CoreConstraint, ChoicesDifferAndLogprobsStayThoseOfTheRawDistribution) {
  CoreWorld world({});
  for (uint32_t index : {0, 1}) {
    SequenceRequest request = Constrained(5);
    request.key.id = 50 + index;
    request.sequence_index = index;
    ASSERT_TRUE(world.Submit(std::move(request)).ok());
  }
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_NE(world.answer(50).token_ids, world.answer(51).token_ids);
  SequenceRequest forced = Constrained(5);
  forced.key.id = 52;
  forced.constraint.reset();
  forced.max_tokens = 1;
  forced.sampling.logit_bias = {{world.answer(50).token_ids[0], 100.0f}};
  ASSERT_TRUE(world.Submit(std::move(forced)).ok());
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(world.answer(52).token_ids[0], world.answer(50).token_ids[0]);
  EXPECT_EQ(world.answer(52).logprob_bits[0], world.answer(50).logprob_bits[0]);
}

TEST(CoreConstraint, BeginsAfterTheThinking) {
  CoreWorld world({});
  SequenceRequest request = Constrained(1, R"({"enum":["yes","no"]})");
  request.constraint->after_thinking = true;
  request.sampling.logit_bias = {{kThinkingEnd, 100.0f}, {kEndOfSequence, 100.0f}};  // the end is not let through before the document
  ASSERT_TRUE(world.Submit(request).ok());
  ASSERT_TRUE(world.RunToEnd());
  const Answer& answer = world.answer(1);
  EXPECT_EQ(answer.end->reason, EndReason::kStop) << answer.end->status;
  ASSERT_EQ(answer.token_ids[0], kThinkingEnd);
  Answer rest = answer;
  rest.token_ids.erase(rest.token_ids.begin());
  const std::string text = TextOf(rest);
  EXPECT_EQ(WhyInvalid(R"({"enum":["yes","no"]})", text), "") << text;
}

TEST(CoreConstraint, WhatCannotBeFollowedIsRefused) {
  CoreWorld world({});
  EXPECT_TRUE(absl::IsUnimplemented(world.Submit(Constrained(1, R"({"type":"string","pattern":"a"})"))));
  EXPECT_TRUE(absl::IsInvalidArgument(world.Submit(Constrained(2, "{"))));
  EXPECT_EQ(world.open(), 0u);
}

}  // namespace
}  // namespace atoll::attention_node
