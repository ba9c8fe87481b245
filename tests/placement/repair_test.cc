// The searching planners: never unsound, never worse by their own judge, within their budget, and the same every time.

#include "router/placement/repair.h"

#include <gmock/gmock.h>

#include "router/placement/batch_noise.h"
#include "router/placement/exact_split.h"
#include "router/placement/full_plan.h"
#include "router/placement/quick_plan.h"
#include "router/placement/replica_bias.h"
#include "tests/placement/loads.h"

namespace atoll::router {
namespace {

double MeanImbalance(const LayerPlacement& placement, const LayerNodes& nodes, const std::vector<double>& loads) {
  SeededRandom random(77);
  ExactSplit split(placement, nodes);
  double sum = 0;
  for (int i = 0; i < 40; ++i) {
    const std::vector<double> batch = DrawBatch(loads, {32768, 0.15}, random);
    sum += Imbalance(split.LeastLevel(batch), batch, nodes.speed_total());
  }
  return sum / 40;
}

TEST(Repair, MendsDriftWithinItsBudget) {
  const LayerNodes nodes = LayerNodes::Even(16, 8);
  const std::vector<double> before = SkewedLoads(100, 1), after = SkewedLoads(100, 2);
  const LayerPlacement placement = *PlanQuick(before, nodes, {});
  SeededRandom random(3);
  std::vector<std::vector<double>> batches;
  for (int i = 0; i < 4; ++i) batches.push_back(DrawBatch(after, {32768, 0.15}, random));
  const Repair repair = RepairLayer(placement, batches, nodes, {.loads_max = 6});
  EXPECT_TRUE(CheckLayer(repair.placement, nodes).ok());
  EXPECT_GT(repair.loads, 0);
  EXPECT_LE(repair.loads, 6);
  EXPECT_EQ(ReplicasToLoad(placement, repair.placement), repair.loads);
  EXPECT_LT(MeanImbalance(repair.placement, nodes, after), MeanImbalance(placement, nodes, after) * 0.9);
}

TEST(Repair, LeavesAloneWhatIsEven) {
  const LayerNodes nodes = LayerNodes::Even(8, 20);
  const std::vector<double> loads = SkewedLoads(100, 1);
  const LayerPlacement placement = *PlanQuick(loads, nodes, {});
  const Repair repair = RepairLayer(placement, std::vector<std::vector<double>>{loads}, nodes, {});
  EXPECT_EQ(repair.loads, 0);
  EXPECT_EQ(repair.placement, placement);
}

TEST(Repair, KeepsCoverage) {
  const LayerNodes nodes = LayerNodes::Even(8, 16);
  const LayerPlacement placement = *PlanQuick(SkewedLoads(60, 1), nodes, {.min_replicas = 2});
  const Repair repair = RepairLayer(placement, std::vector<std::vector<double>>{SkewedLoads(60, 9)}, nodes, {.min_replicas = 2});
  for (int32_t e = 0; e < 60; ++e) EXPECT_GE(repair.placement.copies(e), 2);
}

TEST(FullPlan, IsSoundRepeatableAndBetter) {
  const LayerNodes nodes = LayerNodes::Even(24, 5);
  const std::vector<double> loads = SkewedLoads(90, 6);
  const LayerPlacement quick = *PlanQuick(loads, nodes, {});
  const FullPlanOptions options{.candidates = 1500};
  const LayerPlacement full = *PlanFull(loads, nodes, options);
  EXPECT_TRUE(CheckLayer(full, nodes).ok());
  EXPECT_EQ(full, *PlanFull(loads, nodes, options));
  EXPECT_LT(MeanImbalance(full, nodes, loads), MeanImbalance(quick, nodes, loads));
}

TEST(FullPlan, EndsWhenItIsStopped) {
  const LayerNodes nodes = LayerNodes::Even(24, 5);
  const std::vector<double> loads = SkewedLoads(90, 6);
  FullPlanOptions options{.candidates = INT64_MAX};
  int asked = 0;
  options.stop = [&] { return ++asked > 3; };
  EXPECT_TRUE(CheckLayer(*PlanFull(loads, nodes, options), nodes).ok());
  EXPECT_EQ(asked, 4);
}

TEST(ReplicaBias, MovesSharesTowardsTheEmptierNodeWithinItsLimit) {
  std::vector<double> bias{0, 0}, shares{0.5, 0.5};
  ApplyReplicaBias(bias, shares);
  EXPECT_THAT(shares, testing::ElementsAre(0.5, 0.5));
  for (int i = 0; i < 100; ++i) StepReplicaBias(std::vector<double>{2, 1}, 1.5, 0.05, 0.4, bias);
  EXPECT_THAT(bias, testing::ElementsAre(-0.4, 0.4));
  ApplyReplicaBias(bias, shares);
  EXPECT_LT(shares[0], shares[1]);
  EXPECT_NEAR(shares[0] + shares[1], 1, 1e-12);
}

TEST(ReplicaBias, RestsNearTheMean) {
  std::vector<double> bias{0.1, 0.1, 0.1};
  StepReplicaBias(std::vector<double>{0.981, 1.019, 0.97}, 1, 0.05, 0.4, bias);
  EXPECT_THAT(bias, testing::ElementsAre(0.1, 0.1, testing::DoubleEq(0.1 + 0.05)));
}

TEST(ReplicaBias, ABusyNodeIsAssumedFullerEachDispatcherMendingItsPart) {
  EXPECT_EQ(AssumedRowsFactor(-0.3, 0), 1);
  EXPECT_GT(AssumedRowsFactor(-0.3, 1), 1.3);
  EXPECT_NEAR(std::pow(AssumedRowsFactor(-0.3, 15), 15), std::exp(0.3), 1e-12);
  EXPECT_LT(AssumedRowsFactor(0.3, 15), 1);
}

}  // namespace
}  // namespace atoll::router
