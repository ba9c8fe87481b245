#include "attention_node/routing_bias/near_ties.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "router/placement/quick_plan.h"
#include "router/placement/seeded_random.h"

namespace atoll::attention_node {
namespace {

constexpr int32_t kExperts = 64, kChosen = 4, kRows = 600;

struct Case {
  std::vector<float> scores;      // [rows, experts]
  std::vector<int32_t> experts;   // [rows, chosen]
  ConstMatrixView view() const { return {scores.data(), DType::kF32, kRows, kExperts, kExperts}; }
};

// Popular experts score higher; a quarter of each row is out of the question.
Case MakeCase(uint64_t seed, router::SeededRandom& random, std::vector<double>& loads) {
  router::SeededRandom fixed(seed);
  std::vector<double> popularity(kExperts);
  for (double& p : popularity) p = 0.4 * fixed.Gaussian();
  Case c{std::vector<float>(kRows * kExperts), {}};
  loads.assign(kExperts, 1);
  for (int32_t row = 0; row < kRows; ++row) {
    float* scores = c.scores.data() + row * kExperts;
    const int32_t dropped = random.Below(4);
    for (int32_t e = 0; e < kExperts; ++e) {
      const double logit = popularity[e] + random.Gaussian();
      scores[e] = e / 16 == dropped ? -std::numeric_limits<float>::infinity() : static_cast<float>(1 / (1 + std::exp(-logit)));
    }
    std::vector<int32_t> ids(kExperts);
    for (int32_t e = 0; e < kExperts; ++e) ids[e] = e;
    std::stable_sort(ids.begin(), ids.end(), [&](int32_t a, int32_t b) { return scores[a] > scores[b]; });
    c.experts.insert(c.experts.end(), ids.begin(), ids.begin() + kChosen);
    for (int i = 0; i < kChosen; ++i) loads[ids[i]] += 1;
  }
  return c;
}

NearTies Make(const std::vector<double>& loads, int32_t nodes, int32_t slots) {
  const auto placement = router::PlanQuick(loads, router::LayerNodes::Even(nodes, slots), {});
  EXPECT_TRUE(placement.ok()) << placement.status();
  return NearTies(MakeReplicaMap(placement->first, placement->host, router::LayerNodes::Even(nodes, slots).speed), 0);
}

void ExpectOneNearTie(const Case& before, const std::vector<int32_t>& after, int32_t row, float epsilon) {
  const float* scores = before.scores.data() + row * kExperts;
  const std::set<int32_t> old(before.experts.begin() + row * kChosen, before.experts.begin() + (row + 1) * kChosen);
  const std::set<int32_t> now(after.begin() + row * kChosen, after.begin() + (row + 1) * kChosen);
  std::vector<int32_t> out, in;
  std::set_difference(old.begin(), old.end(), now.begin(), now.end(), std::back_inserter(out));
  std::set_difference(now.begin(), now.end(), old.begin(), old.end(), std::back_inserter(in));
  ASSERT_EQ(out.size(), 1u);
  ASSERT_EQ(in.size(), 1u);
  EXPECT_LE(scores[out[0]] - scores[in[0]], epsilon);
  for (int i = 1; i < kChosen; ++i) EXPECT_GE(scores[after[row * kChosen + i - 1]], scores[after[row * kChosen + i]]);
}

TEST(NearTies, ChangesOnlyNearTiesOnePerRowAndNeverMakesTheBusiestNodeBusier) {
  for (const auto& [nodes, slots] : {std::pair<int, int>{8, 8}, {18, 4}, {7, 10}, {64, 1}}) {
    for (uint64_t seed = 1; seed <= 6; ++seed) {
      SCOPED_TRACE(testing::Message() << nodes << "x" << slots << " seed " << seed);
      router::SeededRandom random(seed);
      std::vector<double> loads, other;
      MakeCase(seed, random, loads);
      const Case batch = MakeCase(seed, random, other);
      NearTies near_ties = Make(loads, nodes, slots);
      std::vector<int32_t> experts = batch.experts, again = batch.experts, rows, rows_again;
      const NearTieOutcome outcome = near_ties.Reroute(batch.view(), experts, {0.03F, kRows}, rows);
      EXPECT_EQ(outcome.changed, static_cast<int64_t>(rows.size()));
      EXPECT_LE(outcome.busiest_after, outcome.busiest_before);
      std::set<int32_t> changed(rows.begin(), rows.end());
      for (int32_t row = 0; row < kRows; ++row) {
        if (changed.contains(row)) ExpectOneNearTie(batch, experts, row, 0.03F);
        else EXPECT_TRUE(std::equal(experts.begin() + row * kChosen, experts.begin() + (row + 1) * kChosen, batch.experts.begin() + row * kChosen));
      }
      near_ties.Reroute(batch.view(), again, {0.03F, kRows}, rows_again);
      EXPECT_EQ(again, experts);
      EXPECT_EQ(rows_again, rows);
    }
  }
}

TEST(NearTies, RelievesTheBusiestNode) {
  router::SeededRandom random(7);
  std::vector<double> loads, other;
  MakeCase(7, random, loads);
  const Case batch = MakeCase(7, random, other);
  NearTies near_ties = Make(loads, 18, 4);
  std::vector<int32_t> experts = batch.experts, rows;
  const NearTieOutcome outcome = near_ties.Reroute(batch.view(), experts, {0.05F, kRows}, rows);
  EXPECT_GT(outcome.busiest_before, 1.05F);
  EXPECT_LT(outcome.busiest_after - 1, 0.7F * (outcome.busiest_before - 1));
  // What was measured on the way is what a split of the new choice gives.
  std::vector<int32_t> none = experts;
  EXPECT_NEAR(near_ties.Reroute(batch.view(), none, {0, 0}, rows).busiest_before, outcome.busiest_after, 0.02);
}

TEST(NearTies, WithoutAnEpsilonOrLeaveToChangeNothingChanges) {
  router::SeededRandom random(3);
  std::vector<double> loads, other;
  MakeCase(3, random, loads);
  const Case batch = MakeCase(3, random, other);
  NearTies near_ties = Make(loads, 18, 4);
  for (const NearTieLimits& limits : {NearTieLimits{0, kRows}, NearTieLimits{0.05F, 0}, NearTieLimits{-1, kRows}}) {
    std::vector<int32_t> experts = batch.experts, rows{1};
    EXPECT_EQ(near_ties.Reroute(batch.view(), experts, limits, rows).changed, 0);
    EXPECT_EQ(experts, batch.experts);
    EXPECT_TRUE(rows.empty());
  }
  std::vector<int32_t> experts = batch.experts, rows;
  EXPECT_EQ(near_ties.Reroute(batch.view(), experts, {0.05F, 5}, rows).changed, 5);
}

TEST(NearTies, ABatchOfFewRowsPerNodeIsLeftAlone) {
  // Two nodes of two experts, all rows on the first, all scores the same: any number of near ties.
  const std::vector<int32_t> first{0, 1, 2, 3, 4}, node{0, 0, 1, 1};
  NearTies near_ties(MakeReplicaMap(first, node, std::vector<double>{1, 1}), 0);
  for (const int32_t rows : {7, 8}) {
    const std::vector<float> scores(rows * 4, 0.5F);
    std::vector<int32_t> experts, changed;
    for (int32_t row = 0; row < rows; ++row) experts.insert(experts.end(), {0, 1});
    const NearTieOutcome outcome = near_ties.Reroute({scores.data(), DType::kF32, rows, 4, 4}, experts, {0.1F, rows}, changed);
    EXPECT_EQ(outcome.busiest_before, 2.0F);
    EXPECT_EQ(outcome.changed, rows == 7 ? 0 : 8);
  }
}

TEST(NearTies, AnEvenBatchIsLeftAlone) {
  // Two nodes of two experts; every expert is chosen once.
  const std::vector<int32_t> first{0, 1, 2, 3, 4}, node{0, 0, 1, 1};
  NearTies near_ties(MakeReplicaMap(first, node, std::vector<double>{1, 1}), 0);
  const std::vector<float> scores(8, 0.5F);
  std::vector<int32_t> experts{0, 1, 2, 3}, rows;
  const NearTieOutcome outcome = near_ties.Reroute({scores.data(), DType::kF32, 2, 4, 4}, experts, {0.5F, 2}, rows);
  EXPECT_EQ(outcome.changed, 0);
  EXPECT_EQ(outcome.busiest_before, 1.0F);
}

}  // namespace
}  // namespace atoll::attention_node
