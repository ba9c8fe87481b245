// EPLB against the example that its authors publish, and the cases that vLLM tests.

#include "router/placement/eplb.h"

#include <gmock/gmock.h>

namespace atoll::router {
namespace {

using testing::Each;
using testing::ElementsAre;

TEST(Eplb, GivesThePublishedExample) {
  const std::vector<float> first{90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86};
  const std::vector<float> second{20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27};
  const EplbShape shape{.replicas = 16, .groups = 4, .servers = 2, .gpus = 8};
  const auto a = PlanEplb(first, shape), b = PlanEplb(second, shape);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_THAT(a->physical_to_logical, ElementsAre(5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1));
  EXPECT_THAT(b->physical_to_logical, ElementsAre(7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1));
  EXPECT_THAT(a->copies, ElementsAre(1, 2, 1, 1, 2, 2, 1, 1, 1, 1, 2, 1));
  EXPECT_THAT(b->copies, ElementsAre(1, 2, 1, 1, 1, 2, 2, 1, 2, 1, 1, 1));
}

TEST(Eplb, OneGpuHoldsEverythingOnce) {
  const auto layer = PlanEplb(std::vector<float>{10, 20, 30, 40}, {.replicas = 4});
  ASSERT_TRUE(layer.ok());
  EXPECT_THAT(layer->copies, Each(1));
}

TEST(Eplb, EqualLoadsGetOneCopyEach) {
  const auto layer = PlanEplb(std::vector<float>(8, 50), {.replicas = 8, .groups = 2, .servers = 2, .gpus = 4});
  ASSERT_TRUE(layer.ok());
  EXPECT_THAT(layer->copies, Each(1));
}

TEST(Eplb, AHotExpertGetsTheSpareCopies) {
  const auto layer = PlanEplb(std::vector<float>{1000, 1, 1, 1, 1, 1, 1, 1}, {.replicas = 12, .groups = 2, .servers = 2, .gpus = 4});
  ASSERT_TRUE(layer.ok());
  EXPECT_GT(layer->copies[0], layer->copies[1]);
}

TEST(Eplb, FallsBackToGlobalWhereGroupsDoNotDivide) {
  const std::vector<float> loads{5, 1, 9, 2, 7, 3};
  const auto fallback = PlanEplb(loads, {.replicas = 8, .groups = 3, .servers = 2, .gpus = 4});
  const auto global = PlanEplb(loads, {.replicas = 8, .groups = 1, .servers = 1, .gpus = 4});
  ASSERT_TRUE(fallback.ok() && global.ok());
  EXPECT_EQ(fallback->physical_to_logical, global->physical_to_logical);
}

TEST(Eplb, RefusesShapesThatDoNotDivide) {
  EXPECT_EQ(PlanEplb(std::vector<float>(6, 1), {.replicas = 7, .gpus = 4}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(PlanEplb(std::vector<float>(6, 1), {.replicas = 4, .gpus = 4}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(PlanEplb(std::vector<float>{1, -1}, {.replicas = 2}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Eplb, LevelsAddUpToTheLoad) {
  const std::vector<float> loads{5, 1, 9, 2, 7, 3};
  const auto layer = PlanEplb(loads, {.replicas = 8, .gpus = 4});
  ASSERT_TRUE(layer.ok());
  double sum = 0;
  for (const double level : EplbLevels(*layer, std::vector<double>(loads.begin(), loads.end()), 4)) sum += level;
  EXPECT_DOUBLE_EQ(sum, 27);
}

}  // namespace
}  // namespace atoll::router
