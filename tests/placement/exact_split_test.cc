// The exact split against its definition: the largest load that is some set of nodes' alone, over their speed.

#include "router/placement/exact_split.h"

#include <gmock/gmock.h>

#include "router/placement/seeded_random.h"

namespace atoll::router {
namespace {

// All sets of nodes, one by one.
double TightestSet(const LayerPlacement& placement, const LayerNodes& nodes, const std::vector<double>& loads) {
  double worst = 0;
  for (uint32_t set = 1; set < 1u << nodes.count(); ++set) {
    double load = 0, speed = 0;
    for (int32_t n = 0; n < nodes.count(); ++n) speed += set >> n & 1 ? nodes.speed[n] : 0;
    for (int32_t e = 0; e < placement.experts(); ++e) {
      bool inside = true;
      for (const int32_t host : placement.HostsOf(e)) inside &= (set >> host & 1) != 0;
      load += inside ? loads[e] : 0;
    }
    worst = std::max(worst, load / speed);
  }
  return worst;
}

TEST(ExactSplit, EqualsTheTightestSetOfNodes) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    SeededRandom random(seed);
    const int32_t count = 2 + random.Below(6), experts = 1 + random.Below(20);
    LayerNodes nodes = LayerNodes::Even(count, experts);
    for (double& speed : nodes.speed) speed = 1 + random.Below(4);
    std::vector<std::vector<int32_t>> hosts(experts);
    std::vector<double> loads(experts);
    for (int32_t e = 0; e < experts; ++e) {
      loads[e] = random.Below(4) == 0 ? 0 : random.Below(1000);
      for (int32_t k = random.Below(3); k >= 0; --k) hosts[e].push_back(random.Below(count));
    }
    const LayerPlacement placement = PlacementOfHosts(hosts);
    ExactSplit split(placement, nodes);
    const double level = split.LeastLevel(loads);
    EXPECT_NEAR(level, TightestSet(placement, nodes, loads), 1e-6);
    std::vector<double> sum(count, 0);
    for (int32_t e = 0; e < experts; ++e) {
      double sent = 0;
      for (int32_t r = placement.first[e]; r < placement.first[e + 1]; ++r) {
        EXPECT_GE(split.rows()[r], 0);
        sent += split.rows()[r];
        sum[placement.host[r]] += split.rows()[r];
      }
      EXPECT_NEAR(sent, loads[e], 1e-5);
    }
    for (int32_t n = 0; n < count; ++n) EXPECT_LE(sum[n] / nodes.speed[n], level + 1e-6);
  }
}

TEST(ExactSplit, LowerBoundIsTheMeanOrTheLargestPiece) {
  EXPECT_DOUBLE_EQ(LeastLevelOfAnyPlacement(std::vector<double>{4, 4, 4, 4}, 4, 4), 4);
  EXPECT_DOUBLE_EQ(LeastLevelOfAnyPlacement(std::vector<double>{12, 2, 1, 1}, 4, 4), 12);
  EXPECT_DOUBLE_EQ(LeastLevelOfAnyPlacement(std::vector<double>{12, 2, 1, 1}, 4, 6), 4);
}

}  // namespace
}  // namespace atoll::router
