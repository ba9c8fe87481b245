// The split of a batch against the exact optimum, the fewest experts against all choices, and the promises of both.

#include "attention_node/replica_choice/replica_choice.h"

#include <gmock/gmock.h>

#include <numeric>

#include "router/placement/batch_noise.h"
#include "router/placement/exact_split.h"
#include "router/placement/quick_plan.h"
#include "tests/placement/loads.h"

namespace atoll::attention_node {
namespace {

using router::LayerNodes;
using router::SeededRandom;

struct Layer {
  LayerNodes nodes;
  router::LayerPlacement placement;
  ReplicaMap map;
};

Layer PlannedLayer(int32_t nodes, int32_t slots, const std::vector<double>& loads) {
  Layer layer{LayerNodes::Even(nodes, slots), {}, {}};
  layer.placement = *router::PlanQuick(loads, layer.nodes, {});
  layer.map = MakeReplicaMap(layer.placement.first, layer.placement.host, layer.nodes.speed);
  return layer;
}

std::vector<int32_t> Whole(const std::vector<double>& counts) { return {counts.begin(), counts.end()}; }

void ExpectEveryRowSentOnce(const ReplicaMap& map, std::span<const int32_t> counts, std::span<const int32_t> rows) {
  for (int32_t e = 0; e < map.experts(); ++e) {
    int32_t sent = 0;
    for (int32_t r = map.first[e]; r < map.first[e + 1]; ++r) {
      ASSERT_GE(rows[r], 0);
      sent += rows[r];
    }
    ASSERT_EQ(sent, counts[e]) << "expert " << e;
  }
}

double HighestLevel(const ReplicaMap& map, std::span<const int32_t> rows) {
  std::vector<double> load(map.nodes(), 0);
  for (int32_t r = 0; r < map.replicas(); ++r) load[map.node[r]] += rows[r] / map.speed[map.node[r]];
  return *std::max_element(load.begin(), load.end());
}

TEST(RowSplit, StaysNearTheExactOptimum) {
  const std::vector<double> loads = router::SkewedLoads(256, 5);
  for (const auto& [nodes, slots] : {std::pair{32, 9}, {32, 10}, {72, 5}}) {
    const Layer layer = PlannedLayer(nodes, slots, loads);
    router::ExactSplit exact(layer.placement, layer.nodes);
    RowSplit split(layer.map, 0);
    SeededRandom random(11);
    double above = 0;
    for (int batch = 0; batch < 20; ++batch) {
      const std::vector<double> counts = router::DrawBatch(loads, {32768, 0.15}, random);
      std::vector<int32_t> rows(layer.map.replicas());
      split.Split(Whole(counts), {}, rows);
      ExpectEveryRowSentOnce(layer.map, Whole(counts), rows);
      above += HighestLevel(layer.map, rows) / exact.LeastLevel(counts) - 1;
    }
    EXPECT_LE(above / 20, 0.006) << nodes << "x" << slots;
  }
}

TEST(RowSplit, AnyCountsAndSpeedsAreSentOnceAndTheSameAgain) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    SeededRandom random(seed);
    const int32_t nodes = 1 + random.Below(9), experts = 1 + random.Below(30);
    std::vector<std::vector<int32_t>> hosts(experts);
    for (auto& of_expert : hosts)
      for (int32_t k = random.Below(nodes); k >= 0; --k) of_expert.push_back(random.Below(nodes));
    const router::LayerPlacement placement = router::PlacementOfHosts(hosts);
    std::vector<double> speed(nodes);
    for (double& s : speed) s = 0.25 * (1 + random.Below(16));
    std::vector<int32_t> counts(experts);
    for (int32_t& count : counts) count = random.Below(3) == 0 ? 0 : random.Below(200);
    std::vector<float> expected(nodes);
    for (float& rows : expected) rows = static_cast<float>(random.Below(500));
    ReplicaChoice choice(MakeReplicaMap(placement.first, placement.host, speed), {}, 3);
    RowSplit split(choice.map(), 3);
    std::vector<int32_t> rows(choice.map().replicas()), again(rows), chosen(rows);
    split.Split(counts, expected, rows);
    split.Split(counts, expected, again);
    EXPECT_EQ(rows, again);
    ExpectEveryRowSentOnce(choice.map(), counts, rows);
    for (const int32_t parts : {1, 16}) {
      choice.Choose(counts, expected, parts, chosen);
      ExpectEveryRowSentOnce(choice.map(), counts, chosen);
    }
  }
}

TEST(RowSplit, FillsWhatOthersLeaveFree) {
  const std::vector<int32_t> first{0, 2}, node{0, 1}, counts{100};
  const ReplicaMap map = MakeReplicaMap(first, node, std::vector<double>{1, 1});
  std::vector<int32_t> rows(2);
  RowSplit(map, 0).Split(counts, std::vector<float>{60, 0}, rows);
  EXPECT_THAT(rows, testing::ElementsAre(20, 80));
}

TEST(RowSplit, SharesBySpeed) {
  const std::vector<int32_t> first{0, 2}, node{0, 1}, counts{100};
  const ReplicaMap map = MakeReplicaMap(first, node, std::vector<double>{4, 1});
  std::vector<int32_t> rows(2);
  RowSplit(map, 0).Split(counts, {}, rows);
  EXPECT_THAT(rows, testing::ElementsAre(80, 20));
}

// All choices, one by one.
int32_t FewestByTrying(const ReplicaMap& map, const std::vector<int32_t>& counts, int32_t expert, std::vector<int32_t>& active) {
  if (expert == map.experts()) return *std::max_element(active.begin(), active.end());
  if (counts[expert] == 0) return FewestByTrying(map, counts, expert + 1, active);
  int32_t best = INT32_MAX;
  for (int32_t r = map.first[expert]; r < map.first[expert + 1]; ++r) {
    ++active[map.node[r]];
    best = std::min(best, FewestByTrying(map, counts, expert + 1, active));
    --active[map.node[r]];
  }
  return best;
}

TEST(FewestActive, EqualsTheBestOfAllChoices) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    SeededRandom random(seed);
    const int32_t nodes = 2 + random.Below(4), experts = 1 + random.Below(8);
    std::vector<std::vector<int32_t>> hosts(experts);
    for (auto& of_expert : hosts)
      for (int32_t k = random.Below(3); k >= 0; --k) of_expert.push_back(random.Below(nodes));
    const router::LayerPlacement placement = router::PlacementOfHosts(hosts);
    const ReplicaMap map = MakeReplicaMap(placement.first, placement.host, std::vector<double>(nodes, 1));
    std::vector<int32_t> counts(experts), rows(map.replicas()), active(nodes, 0), found(nodes, 0);
    for (int32_t& count : counts) count = random.Below(3);
    FewestActive(map, 0).Choose(counts, {}, rows);
    ExpectEveryRowSentOnce(map, counts, rows);
    for (int32_t r = 0; r < map.replicas(); ++r) found[map.node[r]] += rows[r] > 0 ? 1 : 0;
    EXPECT_EQ(*std::max_element(found.begin(), found.end()), FewestByTrying(map, counts, 0, active));
  }
}

TEST(ReplicaChoice, IsNeverSlowerThanEitherRule) {
  const std::vector<double> loads = router::SkewedLoads(256, 8);
  const Layer layer = PlannedLayer(32, 10, loads);
  ReplicaChoice choice(layer.map, {}, 0);
  RowSplit split(layer.map, 0);
  FewestActive fewest(layer.map, 0);
  SeededRandom random(4);
  for (const int64_t tokens : {1, 16, 64, 512, 1024, 2048, 4096, 8192}) {
    const std::vector<int32_t> counts = Whole(router::DrawBatch(loads, {tokens * 8, 0.15}, random));
    std::vector<int32_t> rows(layer.map.replicas()), by_rows(rows), by_fewest(rows);
    choice.Choose(counts, {}, 1, rows);
    split.Split(counts, {}, by_rows);
    fewest.Choose(counts, {}, by_fewest);
    EXPECT_LE(choice.SlowestNodeUs(rows, 1), std::min(choice.SlowestNodeUs(by_rows, 1), choice.SlowestNodeUs(by_fewest, 1)) * 1.0001F) << tokens;
  }
}

}  // namespace
}  // namespace atoll::attention_node
