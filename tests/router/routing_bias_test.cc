#include "router/balance/routing_bias/routing_bias.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "router/placement/seeded_random.h"

namespace atoll::router {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const std::vector<std::vector<model::Replica>> kReplicas{{{0, 1}}, {{1, 1}}, {{2, 1}}, {{0, 0.5}, {2, 0.5}}};

TEST(RoutingBias, StepsByTheSignOfTheNodeNotOfTheExpert) {
  RoutingBias bias({.epsilon = 0.25F, .step = 0.5, .dead_band = 0.02}, 2, 4);
  EXPECT_THAT(bias.DeltaOf(1), IsEmpty());
  bias.Step(1, std::vector<double>{1.5, 1, 0.5}, kReplicas);
  EXPECT_THAT(bias.DeltaOf(1), ElementsAre(-0.125F, 0, 0.125F, 0.125F));   // a replicated expert goes to its emptiest node
  EXPECT_THAT(bias.DeltaOf(0), IsEmpty());
}

TEST(RoutingBias, StaysWithinEpsilonAndComesBackInTheDeadBand) {
  RoutingBias bias({.epsilon = 0.25F, .step = 0.5, .dead_band = 0.02}, 1, 4);
  for (int i = 0; i < 10; ++i) bias.Step(0, std::vector<double>{3, 2, 1}, kReplicas);
  EXPECT_THAT(bias.DeltaOf(0), ElementsAre(-0.25F, 0, 0.25F, 0.25F));
  for (int i = 0; i < 7; ++i) bias.Step(0, std::vector<double>{1.01, 1, 0.99}, kReplicas);
  EXPECT_THAT(bias.DeltaOf(0), ElementsAre(-0.03125F, 0, 0.03125F, 0.03125F));
  bias.Step(0, std::vector<double>{1.01, 1, 0.99}, kReplicas);
  EXPECT_THAT(bias.DeltaOf(0), IsEmpty());
}

TEST(RoutingBias, RandomLoadsNeverLeaveTheBound) {
  SeededRandom random(4);
  RoutingBias bias({.epsilon = 0.02F}, 1, 4);
  for (int i = 0; i < 500; ++i) {
    bias.Step(0, std::vector<double>{random.Uniform(), random.Uniform(), random.Uniform()}, kReplicas);
    for (const float delta : bias.DeltaOf(0)) EXPECT_LE(std::abs(delta), 0.02F);
  }
}

TEST(RoutingBias, OffByDefault) {
  RoutingBias bias({}, 1, 4);
  bias.Step(0, std::vector<double>{3, 2, 1}, kReplicas);
  EXPECT_THAT(bias.DeltaOf(0), IsEmpty());
  EXPECT_EQ(bias.epsilon(), 0);
}

TEST(RoutingBias, LayersWithoutLoadOrReplicasAreLeftAlone) {
  RoutingBias bias({.epsilon = 0.25F}, 1, 4);
  bias.Step(0, std::vector<double>{0, 0, 0}, kReplicas);
  EXPECT_THAT(bias.DeltaOf(0), IsEmpty());
  bias.Step(0, std::vector<double>{3, 2, 1}, std::vector<std::vector<model::Replica>>(4));
  EXPECT_THAT(bias.DeltaOf(0), IsEmpty());
}

TEST(RoutingBias, TheCapSwitchesItOffAndSaysSo) {
  RoutingBias bias({.epsilon = 0.02F, .changed_max = 0.05, .decisions_min = 1000}, 1, 4);
  bias.Step(0, std::vector<double>{3, 2, 1}, kReplicas);
  EXPECT_FALSE(bias.Count({.decisions = 999, .changed = 999}));           // too few to judge
  EXPECT_TRUE(bias.Count({.decisions = 1, .changed = 0}));
  EXPECT_EQ(bias.epsilon(), 0);
  EXPECT_THAT(bias.DeltaOf(0), IsEmpty());
  EXPECT_THAT(bias.off_reason(), ::testing::HasSubstr("99.90 % of the last 1000 decisions"));
  EXPECT_FALSE(bias.Count({.decisions = 5000, .changed = 5000}));         // said once
  EXPECT_EQ(bias.totals().decisions, 6000u);
}

TEST(RoutingBias, ANodeThatStoppedByItselfStopsAll) {
  RoutingBias bias({.epsilon = 0.02F}, 1, 4);
  EXPECT_TRUE(bias.Count({.decisions = 4, .switched_off = true}));
  EXPECT_EQ(bias.epsilon(), 0);
}

TEST(RoutingBias, BelowTheCapItGoesOnAndWindowsStartAnew) {
  RoutingBias bias({.epsilon = 0.02F, .changed_max = 0.05, .decisions_min = 1000}, 1, 4);
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(bias.Count({.decisions = 1000, .changed = 50, .score_mass = 10, .score_mass_kept = 9}));
  EXPECT_TRUE(bias.Count({.decisions = 1000, .changed = 51}));
  EXPECT_NEAR(bias.totals().ChangedFraction(), 0.05, 1e-3);
}

TEST(RoutingBias, SumsThatAreNoNumbersAreNotAdded) {
  RoutingBias bias({.epsilon = 0.02F}, 1, 4);
  bias.Count({.decisions = 10, .changed = 1, .score_mass = NAN, .score_mass_kept = INFINITY, .busiest_before = -1});
  EXPECT_EQ(bias.totals().decisions, 0u);
  EXPECT_EQ(bias.totals().score_mass, 0);
}

}  // namespace
}  // namespace atoll::router
