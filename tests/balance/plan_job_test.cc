#include "router/balance/plan_job.h"

#include <gmock/gmock.h>

#include "tests/balance/shape.h"

namespace atoll::router {
namespace {

using testing::ElementsAre;
using testing::FloatNear;
using testing::SizeIs;

PlanJob Job(PlanKind kind, uint64_t memory = 100) {
  PlanJob job;
  job.id = 7;
  job.kind = kind;
  job.present = Shape(2, 4);
  for (const char* id : {"a", "b"}) job.nodes.push_back({.node_id = id, .speed = 1, .memory_bytes = memory, .host = "", .zone = ""});
  job.loads.expected = {{}, {4, 1, 1, 2}};
  job.loads.batches.resize(2);
  job.options.expert_bytes = 10;
  return job;
}

PlanJob Placed(PlanKind kind) {
  PlanJob job = Job(kind);
  job.present.node_ids = {"a", "b"};
  job.present.replicas[4] = {{0, 0.5}, {1, 0.5}};
  job.present.replicas[5] = {{0, 1}};
  job.present.replicas[6] = {{0, 1}};
  job.present.replicas[7] = {{1, 1}};
  return job;
}

TEST(PlanJob, FirstPlacementCoversTwiceWhereMemoryAllows) {
  const PlanResult result = RunPlanJob(Job(PlanKind::kFirst), {});
  ASSERT_TRUE(result.plan.ok()) << result.plan.status();
  EXPECT_EQ(result.id, 7u);
  EXPECT_EQ(result.plan->uncovered_by_one_loss, 0);
  EXPECT_THAT(result.plan->steps, SizeIs(8));
  const PlanResult tight = RunPlanJob(Job(PlanKind::kFirst, 25), {});
  ASSERT_TRUE(tight.plan.ok());
  EXPECT_EQ(tight.plan->uncovered_by_one_loss, 2);
  EXPECT_EQ(RunPlanJob(Job(PlanKind::kFirst, 15), {}).plan.status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(PlanJob, SharesSplitExactlyAndMoveNothing) {
  const PlanResult result = RunPlanJob(Placed(PlanKind::kShares), {});
  ASSERT_TRUE(result.plan.ok());
  EXPECT_TRUE(result.plan->steps.empty());
  // 8 rows over two nodes: a has 2 of its own and takes 2 of expert 0, b has 2 and takes 2.
  EXPECT_THAT(ExpectedShares(result.plan->placement, {{}, {4, 1, 1, 2}})[1], ElementsAre(FloatNear(0.5f, 1e-4f), FloatNear(0.5f, 1e-4f)));
  EXPECT_NEAR(result.plan->balance_mean, 1, 1e-6);
}

TEST(PlanJob, SharesFollowSpeed) {
  PlanJob job = Placed(PlanKind::kShares);
  job.nodes[1].speed = 3;
  const PlanResult result = RunPlanJob(std::move(job), {});
  ASSERT_TRUE(result.plan.ok());
  EXPECT_THAT(ExpectedShares(result.plan->placement, {{}, {4, 1, 1, 2}})[1], ElementsAre(FloatNear(0.25f, 1e-4f), FloatNear(0.75f, 1e-4f)));
}

TEST(PlanJob, DriftDoesNothingWhereTheBalanceIsGoodEnough) {
  PlanJob job = Placed(PlanKind::kDrift);
  job.threshold = 0.99;
  const PlanResult good = RunPlanJob(job, {});
  EXPECT_EQ(good.kind, PlanKind::kShares);
  EXPECT_TRUE(good.plan->steps.empty());
  job.threshold = 2;
  const PlanResult asked = RunPlanJob(job, {});
  EXPECT_EQ(asked.kind, PlanKind::kDrift);
  EXPECT_FALSE(asked.plan->steps.empty()) << "there is memory for second copies";
}

TEST(PlanJob, SharesOfAPlacementThatLostExpertsMendIt) {
  PlanJob job = Placed(PlanKind::kShares);
  job.present.replicas[6].clear();
  const PlanResult result = RunPlanJob(std::move(job), {});
  ASSERT_TRUE(result.plan.ok());
  EXPECT_EQ(result.kind, PlanKind::kMend);
  EXPECT_FALSE(result.plan->steps.empty());
}

TEST(StepRoutingBias, FavoursExpertsOfTheNodeThatIsExpectedToGetLess) {
  model::Placement placement;
  placement.layers = 2;
  placement.experts = 2;
  placement.node_ids = {"a", "b"};
  placement.layer_has_experts = {false, true};
  placement.replicas = {{}, {}, {{0, 1}}, {{1, 1}}};
  RoutingBias off({}, 2, 2), on({.epsilon = 0.25F, .step = 0.5}, 2, 2);
  const auto speed_of = [](const std::string& id) { return id == "a" ? 1.0 : 6.0; };
  for (RoutingBias* bias : {&off, &on}) StepRoutingBias(placement, {{}, {1, 3}}, speed_of, *bias);
  EXPECT_TRUE(off.DeltaOf(1).empty());
  EXPECT_TRUE(on.DeltaOf(0).empty());
  ASSERT_EQ(on.DeltaOf(1).size(), 2u);
  EXPECT_EQ(on.DeltaOf(1)[0], -0.125F) << "a third of b's rows, but a sixth of its speed";
  EXPECT_EQ(on.DeltaOf(1)[1], 0.125F);
}

TEST(ShareBias, BusierNodesAreAssumedFullerEachMendsItsPartAndItCanBeOff) {
  ShareBias off(0), on(0.1);
  for (ShareBias* bias : {&off, &on})
    for (int i = 0; i < 3; ++i) bias->Step({{"a", 10}, {"b", 5}});
  const std::vector<std::vector<float>> even{{}, {0.5F, 0.5F}};
  const auto mended = [&](const ShareBias& bias, int32_t others) {
    std::vector<std::vector<float>> shares = even;
    bias.Mend({"a", "b"}, others, shares);
    return shares;
  };
  EXPECT_EQ(mended(off, 1), even);
  EXPECT_EQ(mended(on, 0), even) << "there is nobody to assume anything of";
  EXPECT_GT(mended(on, 1)[1][0], 0.6F);
  EXPECT_LT(mended(on, 1)[1][1], 0.4F);
  EXPECT_LT(mended(on, 15)[1][0], 0.52F);
  EXPECT_TRUE(mended(on, 1)[0].empty());
}

}  // namespace
}  // namespace atoll::router
