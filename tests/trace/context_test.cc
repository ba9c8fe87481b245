// Trace contexts as W3C writes them, who is sampled, and a tracer's bound.

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/trace/tracer.h"

namespace atoll::trace {
namespace {

constexpr char kGood[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(TraceContextTest, ATraceparentIsReadAndWrittenBack) {
  const std::optional<TraceContext> context = ParseTraceparent(kGood);
  ASSERT_TRUE(context);
  EXPECT_TRUE(context->sampled());
  EXPECT_EQ(Traceparent(*context), kGood);
  EXPECT_EQ(FromBytes(ToBytes(*context)), *context);
  EXPECT_EQ(static_cast<int>(ToBytes(*context)[0]), 0x4b);
  EXPECT_EQ(static_cast<int>(ToBytes(*context)[16]), 0x00);
  EXPECT_EQ(static_cast<int>(ToBytes(*context)[17]), 0xf0);
  EXPECT_EQ(static_cast<int>(ToBytes(*context)[24]), 1);
}

TEST(TraceContextTest, WhatTheSpecificationCallsInvalidIsIgnored) {
  const std::vector<std::string> invalid{
      "",
      "00",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",     // version 00 ends here
      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
      "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",      // capitals
      "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
      "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
      "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
  };
  for (const std::string& text : invalid) EXPECT_FALSE(ParseTraceparent(text)) << text;
  for (size_t length = 0; length + 1 < sizeof kGood; ++length) EXPECT_FALSE(ParseTraceparent(std::string_view(kGood, length))) << length;
}

TEST(TraceContextTest, ALaterVersionIsReadAsFarAsThisOneGoes) {
  const std::optional<TraceContext> context = ParseTraceparent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-what.is.new");
  ASSERT_TRUE(context);
  EXPECT_EQ(Traceparent(*context), kGood);
  EXPECT_TRUE(ParseTraceparent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"));
  EXPECT_FALSE(ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-fe")->sampled());
}

TEST(SamplerTest, NamesAndArguments) {
  EXPECT_EQ(ParseSampler("", ""), (Sampler{true, 1}));
  EXPECT_EQ(ParseSampler("parentbased_traceidratio", "0.25"), (Sampler{true, 0.25}));
  EXPECT_EQ(ParseSampler("traceidratio", ""), (Sampler{false, 1}));
  EXPECT_EQ(ParseSampler("always_off", ""), (Sampler{false, 0}));
  EXPECT_EQ(ParseSampler("parentbased_always_on", "ignored"), (Sampler{true, 1}));
  for (const char* name : {"sometimes", "parentbased_", "parentbased_jaeger_remote"}) EXPECT_FALSE(ParseSampler(name, "")) << name;
  for (const char* argument : {"-0.1", "1.5", "half", "nan"}) EXPECT_FALSE(ParseSampler("traceidratio", argument)) << argument;
}

TEST(SamplerTest, TheRatioIsKeptAndTheParentDecides) {
  Tracer quarter({.parent_based = true, .ratio = 0.25}, 1);
  int sampled = 0;
  for (int i = 0; i < 4000; ++i) sampled += quarter.NewSpan(std::nullopt).sampled();
  EXPECT_NEAR(sampled, 1000, 120);
  TraceContext parent = *ParseTraceparent(kGood);
  EXPECT_TRUE(quarter.NewSpan(parent).sampled());
  EXPECT_EQ(quarter.NewSpan(parent).trace_id, parent.trace_id);
  EXPECT_NE(quarter.NewSpan(parent).span_id, parent.span_id);
  parent.flags = 0;
  Tracer always({.parent_based = true, .ratio = 1}, 1);
  EXPECT_FALSE(always.NewSpan(parent).sampled());
  EXPECT_TRUE(always.NewSpan(TraceContext{}).sampled()) << "an empty parent is none";
}

TEST(TracerTest, IdsAreNeverTheSame) {
  Tracer tracer({}, 7);
  std::set<SpanId> ids;
  for (int i = 0; i < 2000; ++i) ids.insert(tracer.NewSpan(std::nullopt).span_id);
  EXPECT_EQ(ids.size(), 2000u);
}

TEST(TracerTest, WhatFindsNoRoomIsDroppedAndCounted) {
  Tracer tracer({}, 7, 3);
  for (int i = 0; i < 5; ++i) tracer.Record({.context = tracer.NewSpan(std::nullopt), .name = std::to_string(i)});
  EXPECT_EQ(tracer.dropped(), 2);
  tracer.Close();
  const std::vector<Span> first = tracer.Take(2, std::chrono::milliseconds(0));
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[1].name, "1");
  EXPECT_EQ(tracer.Take(2, std::chrono::milliseconds(0)).size(), 1u);
  EXPECT_TRUE(tracer.Take(2, std::chrono::milliseconds(0)).empty());
}

TEST(TracerTest, WhatIsNotSampledIsNotKept) {
  Tracer tracer({.parent_based = true, .ratio = 0}, 7);
  tracer.Record({.context = tracer.NewSpan(std::nullopt)});
  EXPECT_EQ(tracer.recorded(), 0);
  EXPECT_EQ(tracer.dropped(), 0);
}

}  // namespace
}  // namespace atoll::trace
