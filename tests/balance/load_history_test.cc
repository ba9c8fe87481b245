#include "router/balance/load_history.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/balance/shape.h"

namespace atoll::router {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;
using testing::IsEmpty;

using Rows = std::vector<uint64_t>;

TEST(LoadHistory, KeepsPromptAndGeneratedApart) {
  LoadHistory history(Shape(2, 3), 160);
  EXPECT_TRUE(history.empty());
  history.Add({1, Rows{1, 2, 3}, Rows{}});
  history.Add({1, Rows{}, Rows{0, 0, 10}});
  EXPECT_FALSE(history.empty());
  EXPECT_THAT(history.Sums(false)[1], ElementsAre(1, 2, 3));
  EXPECT_THAT(history.Sums(true)[1], ElementsAre(0, 0, 10));
  EXPECT_THAT(history.Loads().expected[1], ElementsAre(DoubleEq(1), DoubleEq(2), DoubleEq(13)));
  EXPECT_THAT(history.Loads().expected[0], IsEmpty()) << "a dense layer";
}

TEST(LoadHistory, TheWindowMovesWithTheBusiestNodesSteps) {
  LoadHistory history(Shape(2, 2), 160);  // parts of 10 steps
  history.Add({1, Rows{100, 0}, Rows{}});
  for (int i = 0; i < 9; ++i) history.AddSteps("a", 1), history.AddSteps("b", 1);
  EXPECT_THAT(history.Loads().batches[1], ElementsAre(ElementsAre(100, 0)));
  history.AddSteps("a", 1);
  history.Add({1, Rows{0, 100}, Rows{}});
  const ClusterLoads loads = history.Loads();
  ASSERT_EQ(loads.batches[1].size(), 2u);
  EXPECT_THAT(loads.batches[1][0], ElementsAre(0, 100)) << "the newest first";
  EXPECT_LT(loads.expected[1][0], loads.expected[1][1]) << "newer rows count more";
  for (int part = 0; part < 15; ++part) {
    history.AddSteps("a", 10);
    history.Add({1, Rows{0, 1}, Rows{}});
  }
  EXPECT_EQ(history.Loads().expected[1][0], 0) << "the window has passed them";
}

TEST(LoadHistory, AnIdleClusterKeepsWhatItSaw) {
  LoadHistory history(Shape(2, 2), 16);
  history.Add({1, Rows{3, 1}, Rows{}});
  for (int i = 0; i < 1000; ++i) history.AddSteps("a", 1);
  EXPECT_EQ(history.Sums(false)[1][0], 3);
}

TEST(LoadHistory, ColdStartCountsUntilALayerHasRows) {
  LoadHistory history(Shape(3, 2), 160);
  history.SetColdStart({{}, {5, 1}, {1, 5}});
  EXPECT_THAT(history.Loads().expected[1], ElementsAre(5, 1));
  history.Add({1, Rows{1, 1}, Rows{}});
  EXPECT_THAT(history.Loads().expected[1], ElementsAre(DoubleEq(1), DoubleEq(1)));
  EXPECT_THAT(history.Loads().expected[2], ElementsAre(1, 5));
}

TEST(LoadHistory, CountsThatNobodyCanHaveStayFinite) {
  LoadHistory history(Shape(2, 2), 160);
  for (int i = 0; i < 1000; ++i) history.Add({1, Rows{UINT64_MAX, UINT64_MAX}, Rows{UINT64_MAX, 0}});
  const ClusterLoads loads = history.Loads();
  for (const double load : loads.expected[1]) EXPECT_TRUE(std::isfinite(load));
}

}  // namespace
}  // namespace atoll::router
