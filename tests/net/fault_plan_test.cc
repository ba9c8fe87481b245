#include "net/memory/fault_plan.h"

#include <gtest/gtest.h>

namespace atoll::net {
namespace {

TEST(FaultPlan, RatesAreKeptAndReplay) {
  const FaultPlan plan{.seed = 9, .loss = 0.1, .duplicate = 0.5, .delay_min_ns = 10, .delay_max_ns = 20};
  int lost = 0, duplicated = 0, disconnected = 0;
  for (uint64_t message = 0; message < 10000; ++message) {
    const MessageFate fate = Decide(plan, "a>b#0", message);
    const MessageFate again = Decide(plan, "a>b#0", message);
    EXPECT_EQ(fate.lost, again.lost);
    EXPECT_EQ(fate.delay_ns, again.delay_ns);
    EXPECT_GE(fate.delay_ns, 10);
    EXPECT_LE(fate.delay_ns, 20);
    lost += fate.lost;
    duplicated += fate.duplicated;
    disconnected += fate.disconnects;
  }
  EXPECT_NEAR(lost, 1000, 150);
  EXPECT_NEAR(duplicated, 5000, 250);
  EXPECT_EQ(disconnected, 0);
}

TEST(FaultPlan, ConnectionsAndSeedsDiffer) {
  const FaultPlan plan{.seed = 9, .loss = 0.5};
  int same_connection = 0, same_seed = 0;
  for (uint64_t message = 0; message < 1000; ++message) {
    const bool lost = Decide(plan, "a>b#0", message).lost;
    same_connection += lost == Decide(plan, "a>b#1", message).lost;
    same_seed += lost == Decide({.seed = 10, .loss = 0.5}, "a>b#0", message).lost;
  }
  EXPECT_NEAR(same_connection, 500, 100);
  EXPECT_NEAR(same_seed, 500, 100);
}

}  // namespace
}  // namespace atoll::net
