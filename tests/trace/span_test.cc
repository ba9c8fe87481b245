// The spans of an attention node: one connected tree for each sampled request, and no change of any bit.

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/attention_node/core_world.h"

namespace atoll::attention_node {
namespace {

const trace::TraceContext kClient = *trace::ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
const trace::TraceContext kOther = *trace::ParseTraceparent("00-11111111111111111111111111111111-2222222222222222-01");
constexpr CoreOptions kOptions{.max_num_seqs = 8, .max_num_batched_tokens = 64};

SequenceRequest Traced(uint64_t id, const trace::TraceContext& span, int64_t max_tokens = 3) {
  SequenceRequest request = MakeRequest(id, 5, max_tokens);
  request.request_id = "r" + std::to_string(id);
  request.trace = span;
  return request;
}

std::vector<trace::Span> SpansOf(trace::Tracer& tracer) {
  tracer.Close();
  return tracer.Take(10000, std::chrono::milliseconds(0));
}

std::vector<trace::Span> Named(const std::vector<trace::Span>& spans, const std::string& name) {
  std::vector<trace::Span> found;
  for (const trace::Span& span : spans) {
    if (span.name == name) found.push_back(span);
  }
  return found;
}

TEST(SpanTest, OneRequestIsOneTree) {
  trace::Tracer tracer({}, 1);
  CoreWorld world(kOptions, &tracer);
  ASSERT_TRUE(world.Submit(Traced(1, kClient)).ok());
  ASSERT_TRUE(world.RunToEnd());
  const std::vector<trace::Span> spans = SpansOf(tracer);
  std::map<trace::SpanId, const trace::Span*> by_id;
  for (const trace::Span& span : spans) by_id[span.context.span_id] = &span;
  ASSERT_EQ(by_id.size(), spans.size());
  for (const trace::Span& span : spans) {
    EXPECT_EQ(span.context.trace_id, kClient.trace_id) << span.name;
    EXPECT_EQ(span.parent == kClient.span_id, span.name == "sequence");
    EXPECT_TRUE(span.parent == kClient.span_id || by_id.contains(span.parent)) << span.name;
  }
  EXPECT_EQ(Named(spans, "step").size(), 3u);
  EXPECT_EQ(Named(spans, "layer 0").size(), 3u);
  const std::vector<trace::Span> sequences = Named(spans, "sequence");
  ASSERT_EQ(sequences.size(), 1u);
  EXPECT_EQ(sequences[0].links.size(), 3u);
}

TEST(SpanTest, AStepOfSeveralRequestsIsLinkedToByAll) {
  trace::Tracer tracer({}, 1);
  CoreWorld world(kOptions, &tracer);
  ASSERT_TRUE(world.Submit(Traced(1, kClient)).ok());
  ASSERT_TRUE(world.Submit(Traced(2, kOther)).ok());
  ASSERT_TRUE(world.RunToEnd());
  const std::vector<trace::Span> spans = SpansOf(tracer);
  const std::vector<trace::Span> steps = Named(spans, "step"), sequences = Named(spans, "sequence");
  ASSERT_EQ(steps.size(), 3u);
  ASSERT_EQ(sequences.size(), 2u);
  for (const trace::Span& sequence : sequences) {
    for (const trace::Span& step : steps) EXPECT_THAT(sequence.links, testing::Contains(step.context));
  }
  EXPECT_EQ(steps[0].context.trace_id, kClient.trace_id) << "the first one's";
}

TEST(SpanTest, WhatIsNotSampledLeavesNothingAndLongSequencesFewSteps) {
  trace::Tracer tracer({}, 1);
  CoreWorld world(kOptions, &tracer);
  trace::TraceContext unsampled = kClient;
  unsampled.flags = 0;
  ASSERT_TRUE(world.Submit(Traced(1, unsampled)).ok());
  ASSERT_TRUE(world.Submit(Traced(2, {})).ok());
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(tracer.recorded(), 0);
  ASSERT_TRUE(world.Submit(Traced(3, kClient, 70)).ok());
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(Named(SpansOf(tracer), "step").size(), static_cast<size_t>(kStepsTracedFirst + 70 / kStepTracedEach));
}

TEST(SpanTest, TokensHaveTheSameBitsWithAndWithoutSpans) {
  trace::Tracer tracer({}, 1);
  CoreWorld plain(kOptions), traced(kOptions, &tracer);
  for (CoreWorld* world : {&plain, &traced}) {
    ASSERT_TRUE(world->Submit(Traced(1, kClient, 12)).ok());
    ASSERT_TRUE(world->Submit(Traced(2, kOther, 12)).ok());
    ASSERT_TRUE(world->RunToEnd());
  }
  EXPECT_GT(tracer.recorded(), 0);
  for (const uint64_t id : {1, 2}) {
    EXPECT_EQ(traced.answer(id).token_ids, plain.answer(id).token_ids);
    EXPECT_EQ(traced.answer(id).logprob_bits, plain.answer(id).logprob_bits);
  }
}

}  // namespace
}  // namespace atoll::attention_node
