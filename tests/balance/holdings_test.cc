#include "router/balance/holdings.h"

#include <gmock/gmock.h>

#include "tests/balance/shape.h"

namespace atoll::router {
namespace {

using model::ExpertId;
using testing::ElementsAre;
using testing::IsEmpty;

const ExpertId kA{1, 0}, kB{1, 1}, kC{1, 2};

std::vector<int32_t> HostsOf(const ServingTable& table, ExpertId id) {
  std::vector<int32_t> hosts;
  for (const model::Replica& replica : table.placement.ReplicasOf(id)) hosts.push_back(replica.node);
  return hosts;
}

class HoldingsTest : public testing::Test {
 protected:
  // a holds A and B, b holds B and C, all loaded.
  void BringUp() {
    holdings_.Join("a", 3, {});
    holdings_.Join("b", 3, {});
    holdings_.Add("a", kA), holdings_.Add("a", kB), holdings_.Add("b", kB), holdings_.Add("b", kC);
    holdings_.Tell("a", 1), holdings_.Tell("b", 2);
    ASSERT_TRUE(holdings_.OnReady("a", 1));
    ASSERT_TRUE(holdings_.OnReady("b", 2));
  }
  Holdings holdings_{Shape(2, 3)};
  const model::Placement nothing_wanted_;
};

TEST_F(HoldingsTest, IsLoadedWhenTheNodeSaysSoOfTheNewestAssignment) {
  holdings_.Join("a", 2, {});
  EXPECT_TRUE(holdings_.AllReady());
  holdings_.Add("a", kA);
  EXPECT_FALSE(holdings_.AllReady());
  EXPECT_FALSE(holdings_.OnReady("a", 5)) << "not told yet";
  EXPECT_THAT(holdings_.Tell("a", 6), ElementsAre(kA));
  EXPECT_FALSE(holdings_.OnReady("a", 5));
  EXPECT_TRUE(holdings_.OnReady("a", 6));
  EXPECT_FALSE(holdings_.OnReady("a", 6)) << "no news";
  EXPECT_TRUE(holdings_.AllReady());
  EXPECT_FALSE(holdings_.OnReady("a", 9));
  EXPECT_TRUE(holdings_.Find("a")->changed) << "another router's assignment is overtaken";
}

TEST_F(HoldingsTest, ServesWhatIsLoadedAndNotBeingFreed) {
  BringUp();
  ServingTable table = ServingNow(holdings_, {}, nothing_wanted_);
  EXPECT_EQ(table.lost, 0);
  EXPECT_THAT(HostsOf(table, kB), ElementsAre(0, 1));
  EXPECT_EQ(table.placement.ReplicasOf(kB)[0].share, 0.5);
  table = ServingNow(holdings_, {{"a", kB}}, nothing_wanted_);
  EXPECT_THAT(HostsOf(table, kB), ElementsAre(1));
  EXPECT_TRUE(model::ValidatePlacement(table.placement).ok());
}

TEST_F(HoldingsTest, SharesAreThoseOfThePlanWhereItKnowsThem) {
  BringUp();
  model::Placement wanted = holdings_.Assigned();
  wanted.ReplicasOf(kB) = {{0, 0.25}, {1, 0.75}};
  ServingTable table = ServingNow(holdings_, {}, wanted);
  EXPECT_EQ(table.placement.ReplicasOf(kB)[1].share, 0.75);
  holdings_.Lose("a");
  table = ServingNow(holdings_, {}, wanted);
  EXPECT_THAT(HostsOf(table, kB), ElementsAre(1)) << "the lost node's replicas are left out";
  EXPECT_EQ(table.placement.ReplicasOf(kB)[0].share, 1);
}

TEST_F(HoldingsTest, AnExpertWithoutALoadedReplicaStaysWithItsNode) {
  BringUp();
  holdings_.Lose("a");
  const ServingTable table = ServingNow(holdings_, {}, nothing_wanted_);
  EXPECT_EQ(table.lost, 1);
  EXPECT_THAT(HostsOf(table, kA), ElementsAre(0));
  EXPECT_FALSE(table.loaded[0]);
  EXPECT_TRUE(model::ValidatePlacement(table.placement).ok());
}

TEST_F(HoldingsTest, ANodeGetsBackWhatItHad) {
  BringUp();
  holdings_.Lose("a");
  holdings_.Join("a", 3, {kA});
  EXPECT_THAT(holdings_.Find("a")->assigned, ElementsAre(kA, kB));
  EXPECT_THAT(holdings_.Find("a")->loaded, ElementsAre(kA)) << "it says itself that it still has that";
  EXPECT_TRUE(holdings_.Find("a")->changed);
  holdings_.Lose("a");
  holdings_.Join("a", 1, {kC, kC, {7, 7}});
  EXPECT_THAT(holdings_.Find("a")->assigned, ElementsAre(kC)) << "too small for what it had";
}

TEST_F(HoldingsTest, TakesNoMoreThanFitsOfWhatANodeReports) {
  holdings_.Join("a", 1, {kC, kB, kA});
  EXPECT_THAT(holdings_.Find("a")->assigned, ElementsAre(kA));
  holdings_.Join("b", 0, {kC});
  EXPECT_THAT(holdings_.Find("b")->assigned, IsEmpty());
}

}  // namespace
}  // namespace atoll::router
