#include "router/balance/balance_policy.h"

#include <gmock/gmock.h>

#include "router/balance/watchdog.h"

namespace atoll::router {
namespace {

using testing::Optional;

constexpr int64_t kSecond = 1'000'000'000;
const BalanceMoment kPlaced{.now_ns = kSecond, .placed = true, .migrating = false};

BalanceOptions Every(int64_t steps) {
  BalanceOptions options;
  options.step_interval = steps;
  return options;
}

TEST(BalancePolicy, PlansWhenTheBusiestNodeHasRunItsSteps) {
  BalancePolicy policy(Every(100));
  policy.AddSteps("a", 99);
  policy.AddSteps("b", 50);
  EXPECT_THAT(policy.Next(kPlaced), Optional(PlanKind::kShares));
  EXPECT_EQ(policy.Next(kPlaced), std::nullopt);
  policy.AddSteps("a", 1);
  EXPECT_THAT(policy.Next(kPlaced), Optional(PlanKind::kDrift));
  policy.AddSteps("b", 60);
  EXPECT_EQ(policy.steps_since_plan(), 60);
}

TEST(BalancePolicy, SharesFollowTrafficButNotTooOften) {
  BalancePolicy policy(Every(1 << 30));
  EXPECT_EQ(policy.Next(kPlaced), std::nullopt) << "no traffic";
  policy.AddSteps("a", 1);
  EXPECT_THAT(policy.Next(kPlaced), Optional(PlanKind::kShares));
  policy.AddSteps("a", 1);
  EXPECT_EQ(policy.Next(kPlaced), std::nullopt);
  EXPECT_THAT(policy.Next({.now_ns = kSecond + BalancePolicy::kSharesEveryNs, .placed = true}), Optional(PlanKind::kShares));
}

TEST(BalancePolicy, EventsComeFirstAndDuringAMigrationToo) {
  BalancePolicy policy(Every(1));
  policy.AddSteps("a", 5);
  policy.Mend(0);
  EXPECT_THAT(policy.Next({.now_ns = 1, .placed = true, .migrating = true}), Optional(PlanKind::kMend));
  EXPECT_EQ(policy.Next({.now_ns = 1, .placed = true, .migrating = true}), std::nullopt) << "never two at once";
  EXPECT_THAT(policy.Next(kPlaced), Optional(PlanKind::kDrift));
}

TEST(BalancePolicy, WaitsForANodeThatMayComeBack) {
  BalancePolicy policy(Every(1));
  policy.AddSteps("a", 5);
  policy.Mend(2 * kSecond);
  EXPECT_EQ(policy.Next(kPlaced), std::nullopt) << "nothing else meanwhile";
  policy.Mend(kSecond);  // what is urgent is not put off by what was not
  EXPECT_THAT(policy.Next(kPlaced), Optional(PlanKind::kMend));
}

TEST(BalancePolicy, TheFirstPlanIsForWhenNothingIsPlaced) {
  BalancePolicy policy(Every(1));
  policy.Mend(0);
  EXPECT_THAT(policy.Next({.now_ns = 1}), Optional(PlanKind::kFirst));
}

TEST(BalancePolicy, FrozenMeansNothingOnTheSchedule) {
  BalancePolicy policy(Every(10));
  policy.Freeze(true);
  policy.AddSteps("a", 100);
  EXPECT_THAT(policy.Next(kPlaced), Optional(PlanKind::kShares));
  EXPECT_EQ(policy.Next(kPlaced), std::nullopt);
  policy.Mend(0);
  EXPECT_THAT(policy.Next(kPlaced), Optional(PlanKind::kMend)) << "coverage is kept";
  policy.Ask(PlanKind::kFull);
  EXPECT_THAT(policy.Next(kPlaced), Optional(PlanKind::kFull)) << "an operator may look";
  policy.Freeze(false);
  EXPECT_THAT(policy.Next(kPlaced), Optional(PlanKind::kDrift));
}

TEST(BalancePolicy, DisabledMeansNothingOnTheScheduleEither) {
  BalanceOptions options = Every(10);
  options.enable = false;
  BalancePolicy policy(options);
  policy.AddSteps("a", 100);
  EXPECT_THAT(policy.Next(kPlaced), Optional(PlanKind::kShares));
  EXPECT_EQ(policy.Next(kPlaced), std::nullopt);
}

TEST(Watchdog, SaysOnceThatSomethingIsStuck) {
  Watchdog watchdog(1000);
  EXPECT_FALSE(watchdog.Watch("", 0));
  EXPECT_FALSE(watchdog.Watch("", 100 * kSecond)) << "idle is not stuck";
  EXPECT_EQ(watchdog.age_ms(100 * kSecond), 0);
  EXPECT_FALSE(watchdog.Watch("round 1", 100 * kSecond));
  EXPECT_FALSE(watchdog.Watch("round 2", 100 * kSecond + kSecond / 2));
  EXPECT_FALSE(watchdog.Watch("round 2", 101 * kSecond));
  EXPECT_TRUE(watchdog.Watch("round 2", 102 * kSecond));
  EXPECT_FALSE(watchdog.Watch("round 2", 103 * kSecond));
  EXPECT_TRUE(watchdog.stuck(103 * kSecond));
  EXPECT_EQ(watchdog.age_ms(103 * kSecond), 2500);
  EXPECT_FALSE(watchdog.Watch("round 3", 104 * kSecond));
  EXPECT_FALSE(watchdog.stuck(104 * kSecond));
}

}  // namespace
}  // namespace atoll::router
