#include "model/placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/model/configs.h"

namespace atoll::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// All experts of the tiny model on nodes a and b, alternating.
Placement TwoNodes() {
  const ModelConfig config = *ParseModelConfig(kTinyConfig);
  Placement placement = EmptyPlacement(config, /*with_mtp=*/true);
  placement.node_ids = {"a", "b"};
  for (ExpertId id : AllExperts(config, true)) placement.ReplicasOf(id) = {{.node = id.expert % 2, .share = 1}};
  return placement;
}

void ExpectInvalid(const Placement& placement, const std::string& part) {
  EXPECT_THAT(std::string(ValidatePlacement(placement).message()), HasSubstr(part));
}

TEST(Placement, LayersAreAbsolute) {
  const Placement placement = TwoNodes();
  EXPECT_EQ(placement.layers, 3);
  EXPECT_THAT(placement.layer_has_experts, ElementsAre(false, true, true));
  EXPECT_FALSE(placement.Contains({0, 0}));
  EXPECT_TRUE(placement.Contains({2, 3}));
  EXPECT_FALSE(placement.Contains({3, 0}));
  EXPECT_FALSE(placement.Contains({1, 4}));
  EXPECT_TRUE(ValidatePlacement(placement).ok()) << ValidatePlacement(placement);
}

TEST(Placement, WithoutMtpItsLayerIsNotThere) {
  const ModelConfig config = *ParseModelConfig(kTinyConfig);
  EXPECT_EQ(EmptyPlacement(config, false).layers, 2);
  EXPECT_EQ(AllExperts(config, false).size(), 4u);
  EXPECT_EQ(AllExperts(config, true).size(), 8u);
}

TEST(Placement, ListsWhatANodeHolds) {
  EXPECT_THAT(ExpertsOfNode(TwoNodes(), 1),
              ElementsAre(ExpertId{1, 1}, ExpertId{1, 3}, ExpertId{2, 1}, ExpertId{2, 3}));
  EXPECT_TRUE(ExpertsOfNode(TwoNodes(), 2).empty());
}

TEST(Placement, FaultsAreNamed) {
  Placement placement = TwoNodes();
  placement.ReplicasOf({1, 2}).clear();
  ExpectInvalid(placement, "expert 2 of layer 1 has no replica");

  placement = TwoNodes();
  placement.ReplicasOf({1, 2}) = {{.node = 2}};
  ExpectInvalid(placement, "names node 2 of 2");
  placement.ReplicasOf({1, 2}) = {{.node = -1}};
  ExpectInvalid(placement, "names node -1");

  placement.ReplicasOf({1, 2}) = {{.node = 0, .share = 0.5}, {.node = 0, .share = 0.5}};
  ExpectInvalid(placement, "two copies on node 0");
  placement.ReplicasOf({1, 2}) = {{.node = 0, .share = 0.5}, {.node = 1, .share = 0.6}};
  ExpectInvalid(placement, "add up to 1.1");
  placement.ReplicasOf({1, 2}) = {{.node = 0, .share = std::numeric_limits<double>::quiet_NaN()}};
  ExpectInvalid(placement, "has the share nan");
  placement.ReplicasOf({1, 2}) = {{.node = 0, .share = 0.25}, {.node = 1, .share = 0.75}};
  EXPECT_TRUE(ValidatePlacement(placement).ok());

  placement.replicas[0] = {{.node = 0}};
  ExpectInvalid(placement, "in a layer without experts");

  placement = TwoNodes();
  placement.node_ids = {"a", "a"};
  ExpectInvalid(placement, "twice");
  placement = TwoNodes();
  placement.replicas.pop_back();
  ExpectInvalid(placement, "expected 12 experts");
  placement.layers = int64_t{1} << 62;
  ExpectInvalid(placement, "expected 1 to 4096 layers");
}

}  // namespace
}  // namespace atoll::model
