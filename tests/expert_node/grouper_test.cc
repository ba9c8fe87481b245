#include "expert_node/grouper.h"

#include <gmock/gmock.h>

#include <random>
#include <set>

namespace atoll::expert_node {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kMs = 1'000'000;

GrouperOptions Options() { return {.parts_max = 64, .pairs_max = 100, .parts_wait_ns = 2 * kMs}; }

struct Place {
  uint64_t link = 1;
  uint64_t step = 1;
  uint16_t layer = 3;
};

WaitingPart Whole(int32_t part, Place place, int64_t arrived_ns, int32_t pairs = 10) {
  return {part, {place.link, place.step, place.layer, 0, 0}, 1, arrived_ns, pairs};
}

WaitingPart OneOf(int32_t part, uint16_t parts, int64_t arrived_ns) {
  WaitingPart waiting = Whole(part, {}, arrived_ns);
  waiting.parts = parts;
  return waiting;
}

TEST(GrouperTest, RunsAtOnceWhatIsWhole) {
  Grouper grouper(Options());
  EXPECT_EQ(grouper.NextReadyNs(), std::nullopt);
  grouper.Add(Whole(7, {}, 5));
  EXPECT_EQ(grouper.NextReadyNs(), 5);
  EXPECT_THAT(grouper.Take(5), ElementsAre(7));
  EXPECT_THAT(grouper.Take(5), IsEmpty());
  EXPECT_EQ(grouper.waiting(), 0);
}

TEST(GrouperTest, TheOldestPartDecidesTheLayerAndOthersOfThatLayerComeWithIt) {
  Grouper grouper(Options());
  grouper.Add(Whole(0, {.link = 1, .layer = 3}, 1));
  grouper.Add(Whole(1, {.link = 2, .layer = 5}, 2));
  grouper.Add(Whole(2, {.link = 3, .layer = 3}, 3));
  grouper.Add(Whole(3, {.link = 4, .layer = 5}, 4));
  EXPECT_THAT(grouper.Take(10), ElementsAre(0, 2));
  EXPECT_THAT(grouper.Take(10), ElementsAre(1, 3));
}

TEST(GrouperTest, ABatchHasAtMostPairsMaxButAlwaysOnePart) {
  Grouper grouper(Options());
  grouper.Add(Whole(0, {}, 1, 70));
  grouper.Add(Whole(1, {.step = 2}, 2, 70));
  grouper.Add(Whole(2, {.step = 3}, 3, 5));
  EXPECT_THAT(grouper.Take(10), ElementsAre(0)) << "parts behind the one that does not fit must not overtake it";
  EXPECT_THAT(grouper.Take(10), ElementsAre(1, 2));
  grouper.Add(Whole(3, {}, 11, 5000));
  EXPECT_THAT(grouper.Take(12), ElementsAre(3));
}

TEST(GrouperTest, PartsOfOneDispatchWaitForEachOther) {
  Grouper grouper(Options());
  grouper.Add(OneOf(0, 3, 1 * kMs));
  grouper.Add(OneOf(1, 3, 2 * kMs));
  EXPECT_THAT(grouper.Take(2 * kMs), IsEmpty());
  EXPECT_EQ(grouper.NextReadyNs(), 4 * kMs);
  grouper.Add(OneOf(2, 3, 3 * kMs));
  EXPECT_THAT(grouper.Take(3 * kMs), ElementsAre(0, 1, 2));
}

TEST(GrouperTest, ADispatchThatStopsComingRunsInPieces) {
  Grouper grouper(Options());
  grouper.Add(OneOf(0, 3, 1 * kMs));
  grouper.Add(OneOf(1, 3, 2 * kMs));
  EXPECT_THAT(grouper.Take(4 * kMs - 1), IsEmpty());
  EXPECT_THAT(grouper.Take(4 * kMs), ElementsAre(0, 1));
  grouper.Add(OneOf(2, 3, 9 * kMs));
  EXPECT_THAT(grouper.Take(9 * kMs), ElementsAre(2)) << "the last part misses nobody";
}

TEST(GrouperTest, WhatFillsABatchDoesNotWaitForTheRest) {
  Grouper grouper(Options());
  WaitingPart part = OneOf(0, 4, 1 * kMs);
  part.pair_count = 40;
  for (; part.part < 2; ++part.part) grouper.Add(part);
  EXPECT_THAT(grouper.Take(1 * kMs), IsEmpty()) << "80 pairs wait, a batch has 100";
  grouper.Add(part);
  EXPECT_THAT(grouper.Take(1 * kMs), ElementsAre(0, 1));
  EXPECT_THAT(grouper.Take(1 * kMs), IsEmpty()) << "40 pairs wait";
  EXPECT_THAT(grouper.Take(3 * kMs), ElementsAre(2));
}

TEST(GrouperTest, AnUnfinishedDispatchDoesNotHoldUpOthers) {
  Grouper grouper(Options());
  grouper.Add(OneOf(0, 2, 1 * kMs));
  grouper.Add(Whole(1, {.link = 9, .layer = 3}, 2 * kMs));
  EXPECT_THAT(grouper.Take(2 * kMs), ElementsAre(1));
  EXPECT_EQ(grouper.waiting(), 1);
}

TEST(GrouperTest, GathersForTheStatedTimeOnly) {
  GrouperOptions options = Options();
  options.gather_wait_ns = 5 * kMs;
  Grouper grouper(options);
  grouper.Add(Whole(0, {}, 1 * kMs));
  EXPECT_THAT(grouper.Take(6 * kMs - 1), IsEmpty());
  EXPECT_EQ(grouper.NextReadyNs(), 6 * kMs);
  EXPECT_THAT(grouper.Take(6 * kMs), ElementsAre(0));
}

TEST(GrouperTest, RemovesWhatIsNoLongerWanted) {
  Grouper grouper(Options());
  grouper.Add(Whole(0, {.link = 1}, 1));
  grouper.Add(Whole(1, {.link = 2}, 2));
  grouper.RemoveIf([](const WaitingPart& part) { return part.dispatch.link == 1; });
  EXPECT_THAT(grouper.Take(10), ElementsAre(1));
}

// Whatever comes in whatever order: every part runs exactly once, within its waits, and batches keep to one layer.
TEST(GrouperTest, EveryPartRunsOnceInBoundedTime) {
  for (uint32_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    Grouper grouper(Options());
    std::vector<uint16_t> layer_of;
    std::vector<int64_t> arrived;
    std::set<int32_t> done;
    int64_t now = 0;
    for (int32_t part = 0; part < 60; ++part) {
      now += random() % kMs;
      WaitingPart waiting = Whole(part, {.link = random() % 3, .step = random() % 5, .layer = uint16_t(random() % 4)}, now, 1 + random() % 40);
      waiting.parts = 1 + random() % 4;
      layer_of.push_back(waiting.dispatch.layer);
      arrived.push_back(now);
      grouper.Add(waiting);
      for (auto batch = grouper.Take(now); !batch.empty(); batch = grouper.Take(now))
        for (int32_t taken : batch) {
          EXPECT_EQ(layer_of[taken], layer_of[batch[0]]);
          EXPECT_TRUE(done.insert(taken).second);
        }
    }
    while (const auto next = grouper.NextReadyNs()) {
      const auto batch = grouper.Take(*next);
      ASSERT_FALSE(batch.empty()) << "NextReadyNs promised a batch";
      for (int32_t taken : batch) EXPECT_TRUE(done.insert(taken).second);
    }
    EXPECT_EQ(done.size(), 60u);
  }
}

}  // namespace
}  // namespace atoll::expert_node
