#include "router/placement/quick_plan.h"

#include <gmock/gmock.h>

#include "router/placement/eplb.h"
#include "router/placement/exact_split.h"
#include "tests/placement/loads.h"

namespace atoll::router {
namespace {

struct Shape {
  int32_t nodes, slots;
};

class QuickPlanShapes : public testing::TestWithParam<Shape> {};

TEST_P(QuickPlanShapes, IsSoundConnectedAndNoWorseThanEplb) {
  const auto [count, slots] = GetParam();
  const LayerNodes nodes = LayerNodes::Even(count, slots);
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    const std::vector<double> loads = SkewedLoads(256, seed);
    const auto plan = PlanQuick(loads, nodes, {});
    ASSERT_TRUE(plan.ok()) << plan.status();
    ASSERT_TRUE(CheckLayer(*plan, nodes).ok()) << CheckLayer(*plan, nodes);
    EXPECT_EQ(plan->host.size(), static_cast<size_t>(nodes.slots_total()));
    if (nodes.slots_total() - 256 >= count - 1) {
      EXPECT_EQ(ReplicaGraphPieces(*plan, count), 1);
    }
    const auto eplb = PlanEplb(std::vector<float>(loads.begin(), loads.end()), {.replicas = count * slots, .gpus = count});
    const std::vector<double> levels = EplbLevels(*eplb, loads, count);
    EXPECT_LE(ExactSplit(*plan, nodes).LeastLevel(loads), *std::max_element(levels.begin(), levels.end()) * 1.0001);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, QuickPlanShapes,
                         testing::Values(Shape{8, 36}, Shape{16, 18}, Shape{32, 9}, Shape{32, 10}, Shape{72, 4}, Shape{72, 5}, Shape{144, 3}));

TEST(QuickPlan, CoversEveryExpertTwiceInTwoDomainsWhereItFits) {
  LayerNodes nodes = LayerNodes::Even(8, 16);
  for (int32_t n = 0; n < 8; ++n) nodes.domain[n] = n / 2;
  const std::vector<double> loads = SkewedLoads(64, 3);
  const auto plan = PlanQuick(loads, nodes, {.min_replicas = 2});
  ASSERT_TRUE(plan.ok());
  ASSERT_TRUE(CheckLayer(*plan, nodes).ok());
  for (int32_t e = 0; e < 64; ++e) {
    ASSERT_GE(plan->copies(e), 2) << e;
    EXPECT_NE(nodes.domain[plan->HostsOf(e).front()], nodes.domain[plan->HostsOf(e).back()]) << e;
  }
}

TEST(QuickPlan, AnyMixOfNodesGetsASoundPlan) {
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE(seed);
    SeededRandom random(seed);
    const int32_t count = 1 + random.Below(12), experts = 1 + random.Below(40);
    LayerNodes nodes = LayerNodes::Even(count, 0);
    for (int32_t n = 0; n < count; ++n) {
      nodes.slots[n] = random.Below(2 * experts / count + 3);
      nodes.speed[n] = 0.25 * (1 + random.Below(12));
      nodes.domain[n] = random.Below(3);
    }
    std::vector<double> loads(experts);
    for (double& load : loads) load = random.Below(3) == 0 ? 0 : random.Below(1000);
    const auto plan = PlanQuick(loads, nodes, {.min_replicas = 1 + random.Below(3)});
    if (nodes.slots_total() < experts) {
      EXPECT_EQ(plan.status().code(), absl::StatusCode::kResourceExhausted);
      continue;
    }
    ASSERT_TRUE(plan.ok());
    EXPECT_TRUE(CheckLayer(*plan, nodes).ok()) << CheckLayer(*plan, nodes);
  }
}

TEST(QuickPlan, FasterNodesGetMoreRows) {
  LayerNodes nodes = LayerNodes::Even(4, 24);
  nodes.speed = {4, 1, 1, 1};
  const std::vector<double> loads = SkewedLoads(64, 9);
  const auto plan = PlanQuick(loads, nodes, {});
  ASSERT_TRUE(plan.ok());
  EXPECT_LE(Imbalance(ExactSplit(*plan, nodes).LeastLevel(loads), loads, nodes.speed_total()), 0.01);
}

}  // namespace
}  // namespace atoll::router
