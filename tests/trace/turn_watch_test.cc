// When a loop is called stuck.

#include "node/turn_watch.h"

#include <gtest/gtest.h>

namespace atoll::node {
namespace {

TEST(TurnWatchTest, ALoopThatStandsForTheLimitIsStuckUntilItTurns) {
  TurnWatch watch(100);
  EXPECT_FALSE(watch.IsStuck(1, 1000));
  for (int64_t now = 1020; now < 1100; now += 20) EXPECT_FALSE(watch.IsStuck(1, now)) << now;
  EXPECT_TRUE(watch.IsStuck(1, 1100));
  EXPECT_FALSE(watch.IsStuck(2, 1120));
  EXPECT_FALSE(watch.IsStuck(2, 1140));
}

TEST(TurnWatchTest, AProcessThatWasStoppedItselfIsNotCalledStuckForThat) {
  TurnWatch watch(100);
  EXPECT_FALSE(watch.IsStuck(1, 1000));
  EXPECT_FALSE(watch.IsStuck(1, 9'000'000)) << "a quarter of the limit counts";
  EXPECT_FALSE(watch.IsStuck(1, 9'000'020));
}

}  // namespace
}  // namespace atoll::node
