#include "expert_node/expert_batch.h"

#include <gmock/gmock.h>

#include <cstring>
#include <random>

#include "tests/expert_node/dispatch_frame.h"

namespace atoll::expert_node {
namespace {

using ::testing::ElementsAre;

net::FrameLimits Limits() {
  return {.hidden_size = 4, .row_dtype = DType::kF32, .result_dtype = DType::kF32, .layers = 6, .experts = 8, .part_bytes = 256};
}

TEST(PartStoreTest, CopiesRowsAndPairsAndRefusesWhenFull) {
  PartStore store(2, Limits());
  const DispatchFrame frame = MakeDispatch(Limits(), 3, {{0, 5}, {1, 2}, {2, 5}}, 10);
  EXPECT_EQ(store.free(), 2);
  const int32_t first = store.Take(frame.Body(Limits()));
  const int32_t second = store.Take(frame.Body(Limits()));
  EXPECT_EQ(store.Take(frame.Body(Limits())), -1);
  ASSERT_NE(first, second);
  EXPECT_THAT(store.At(second).pairs, ElementsAre(net::Pair{0, 5}, net::Pair{1, 2}, net::Pair{2, 5}));
  EXPECT_EQ(store.rows().RowAs<float>(store.At(second).first_row + 2)[0], 12.0f);
  store.Free(second);
  EXPECT_EQ(store.Take(frame.Body(Limits())), second) << "the last freed is the next taken";
}

TEST(ExpertBatchTest, OrdersPairsByExpertAndRemembersWhereTheyWent) {
  PartStore store(4, Limits());
  const int32_t a = store.Take(MakeDispatch(Limits(), 2, {{0, 5}, {0, 2}, {1, 5}}, 0).Body(Limits()));
  const int32_t b = store.Take(MakeDispatch(Limits(), 1, {{0, 2}, {0, 7}}, 0).Body(Limits()));
  ExpertBatch batch(16, 8);
  batch.Build(store, std::vector<int32_t>{a, b});
  ASSERT_EQ(batch.ranges().size(), 3u);
  EXPECT_EQ(batch.ranges()[0].expert, 2);
  EXPECT_EQ(batch.ranges()[0].pair_count, 2);
  EXPECT_EQ(batch.ranges()[1].expert, 5);
  EXPECT_EQ(batch.ranges()[1].first_pair, 2);
  EXPECT_EQ(batch.ranges()[2].expert, 7);
  const int32_t row_a = store.At(a).first_row, row_b = store.At(b).first_row;
  EXPECT_THAT(batch.pair_row(), ElementsAre(row_a, row_b, row_a, row_a + 1, row_b));
  EXPECT_THAT(batch.result_row(), ElementsAre(2, 0, 3, 1, 4));
}

TEST(ExpertBatchTest, EveryPairReadsItsRowThroughItsExpert) {
  for (uint32_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    PartStore store(8, Limits());
    std::vector<int32_t> parts;
    for (int i = 0; i < 6; ++i) {
      std::vector<net::Pair> pairs;
      const uint32_t rows = 1 + random() % 4;
      for (uint32_t p = 0; p < 1 + random() % 10; ++p) pairs.push_back({uint16_t(random() % rows), uint16_t(random() % 8)});
      parts.push_back(store.Take(MakeDispatch(Limits(), rows, pairs, 0).Body(Limits())));
    }
    ExpertBatch batch(100, 8);
    batch.Build(store, parts);
    size_t pair = 0;
    for (int32_t part : parts) {
      for (const net::Pair& wanted : store.At(part).pairs) {
        const int32_t place = batch.result_row()[pair++];
        EXPECT_EQ(batch.pair_row()[place], store.At(part).first_row + wanted.row);
        const auto range = std::find_if(batch.ranges().begin(), batch.ranges().end(), [&](const ExpertRange& r) {
          return r.first_pair <= place && place < r.first_pair + r.pair_count;
        });
        ASSERT_NE(range, batch.ranges().end());
        EXPECT_EQ(range->expert, wanted.expert);
      }
    }
    EXPECT_EQ(static_cast<int32_t>(pair), batch.pair_count());
  }
}

}  // namespace
}  // namespace atoll::expert_node
