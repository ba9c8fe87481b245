#include "router/placement/initial_placement.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace atoll::router {
namespace {

using model::ExpertId;
using model::Placement;

model::ModelConfig Config(int64_t layers, int64_t experts) {
  model::ModelConfig config;
  config.num_hidden_layers = layers;
  config.num_nextn_predict_layers = 1;
  config.first_k_dense_replace = 1;
  config.gate.n_routed_experts = experts;
  return config;
}

struct Shape {
  int64_t layers;
  int64_t experts;
  std::vector<double> speeds;
};

class EveryShape : public testing::TestWithParam<Shape> {};

TEST_P(EveryShape, PlacesEachExpertOnceAndEachLayerBySpeed) {
  const model::ModelConfig config = Config(GetParam().layers, GetParam().experts);
  std::vector<ExpertNodeOffer> nodes;
  double speed = 0;
  for (const double s : GetParam().speeds) {
    nodes.push_back({.node_id = "n" + std::to_string(nodes.size()), .memory_bytes = 1u << 30, .speed = s, .held = {}});
    speed += s;
  }
  auto placement = InitialPlacement({.config = &config, .with_mtp = true, .expert_bytes = 1000}, nodes);
  ASSERT_TRUE(placement.ok()) << placement.status();
  placement->epoch = 1;
  EXPECT_TRUE(model::ValidatePlacement(*placement).ok()) << model::ValidatePlacement(*placement);
  for (size_t i = 0; i < nodes.size(); ++i) {
    const double fair = static_cast<double>(GetParam().experts) * nodes[i].speed / speed;
    for (int32_t layer = 1; layer < placement->layers; ++layer) {
      int64_t count = 0;
      for (int32_t e = 0; e < GetParam().experts; ++e) count += placement->ReplicasOf({layer, e})[0].node == static_cast<int32_t>(i);
      EXPECT_NEAR(static_cast<double>(count), fair, 2.0) << "node " << i << " layer " << layer;
    }
    const double all = fair * static_cast<double>(placement->layers - 1);
    EXPECT_NEAR(static_cast<double>(model::ExpertsOfNode(*placement, static_cast<int32_t>(i)).size()), all, 1.001) << "node " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(InitialPlacement, EveryShape,
                         testing::Values(Shape{4, 16, {1}}, Shape{4, 16, {1, 1}}, Shape{9, 256, {1, 1, 1}}, Shape{7, 64, {1, 2, 5}},
                                         Shape{6, 256, {1, 1, 1, 1, 1}}, Shape{3, 8, {1, 1, 1, 1, 1, 1, 1}}, Shape{5, 32, {0.3, 1, 0.7}}));

TEST(InitialPlacement, FillsASmallNodeAndGivesTheRestToOthers) {
  const model::ModelConfig config = Config(5, 16);  // 4 MoE layers, 64 experts
  const auto placement = InitialPlacement({.config = &config, .with_mtp = false, .expert_bytes = 100},
                                          {{"small", 1050, 1, {}}, {"a", 100000, 1, {}}, {"b", 100000, 1, {}}});
  ASSERT_TRUE(placement.ok());
  EXPECT_EQ(model::ExpertsOfNode(*placement, 0).size(), 10u);
  EXPECT_EQ(model::ExpertsOfNode(*placement, 1).size(), 27u);
  EXPECT_EQ(model::ExpertsOfNode(*placement, 2).size(), 27u);
}

TEST(InitialPlacement, RefusesWithNumbersWhatDoesNotFit) {
  const model::ModelConfig config = Config(5, 16);
  const auto placement = InitialPlacement({.config = &config, .with_mtp = false, .expert_bytes = 1000000},
                                          {{"a", 30'000'000, 1, {}}, {"b", 33'999'999, 1, {}}});
  EXPECT_EQ(placement.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(placement.status().message(),
            "the experts do not fit: 64 experts of 1000000 bytes need 0.064 GB, the 2 expert nodes have room for 63 (0.063 GB); "
            "add expert nodes or memory");
}

TEST(InitialPlacement, ExactlyFittingMemoryIsFilled) {
  const model::ModelConfig config = Config(5, 16);
  const auto placement = InitialPlacement({.config = &config, .with_mtp = false, .expert_bytes = 1000}, {{"a", 20000, 9, {}}, {"b", 44000, 1, {}}});
  ASSERT_TRUE(placement.ok());
  EXPECT_EQ(model::ExpertsOfNode(*placement, 0).size(), 20u);
}

TEST(InitialPlacement, KeepsWhatNodesHoldAlready) {
  const model::ModelConfig config = Config(3, 8);
  const ExpertsToPlace experts{.config = &config, .with_mtp = false, .expert_bytes = 1};
  std::vector<ExpertNodeOffer> nodes{{"a", 1000, 1, {}}, {"b", 1000, 1, {}}};
  const auto first = InitialPlacement(experts, nodes);
  ASSERT_TRUE(first.ok());
  // The router restarts and meets the nodes in another order; ids that the model lacks count for nothing.
  std::vector<ExpertNodeOffer> later{{"b", 1000, 1, model::ExpertsOfNode(*first, 1)}, {"a", 1000, 1, model::ExpertsOfNode(*first, 0)}};
  later[0].held.push_back({77, 1});
  later[0].held.push_back({0, 0});
  const auto second = InitialPlacement(experts, later);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(model::ExpertsOfNode(*second, 0), model::ExpertsOfNode(*first, 1));
  EXPECT_EQ(model::ExpertsOfNode(*second, 1), model::ExpertsOfNode(*first, 0));
}

}  // namespace
}  // namespace atoll::router
