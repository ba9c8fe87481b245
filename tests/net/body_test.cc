#include "net/body.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "tests/net/link_suite.h"

namespace atoll::net {
namespace {

FrameLimits Limits(uint32_t hidden, DType row = DType::kBF16, DType result = DType::kBF16) {
  return {.hidden_size = hidden, .row_dtype = row, .result_dtype = result, .layers = 4, .experts = 8};
}

TEST(DispatchBody, ViewsRowsAndPairsAtAnyAlignment) {
  const FrameLimits limits = Limits(4);
  TestFrame frame = MakeDispatch(0, 3, limits);
  frame.payload.insert(frame.payload.begin(), std::byte{0});  // now odd
  const auto body = DispatchBody::Parse(frame.header, std::span(frame.payload).subspan(1), limits);
  ASSERT_TRUE(body.ok());
  EXPECT_EQ(body->row_count(), 3u);
  EXPECT_EQ(body->row_bytes(), 8u);
  EXPECT_EQ(body->Row(2).data(), frame.payload.data() + 1 + 16);
  EXPECT_EQ(body->PairAt(2), (Pair{2, 0}));
}

TEST(DispatchBody, B57_RefusesRowsAndExpertsThatAreNotThere) {
  const FrameLimits limits = Limits(4);
  for (const Pair pair : {Pair{3, 0}, Pair{0xFFFF, 0}, Pair{0, 8}, Pair{0, 0xFFFF}}) {
    TestFrame frame = MakeDispatch(0, 3, limits);
    StoreLittle(&frame.payload[24 + 4], pair.row);
    StoreLittle(&frame.payload[24 + 6], pair.expert);
    const auto body = DispatchBody::Parse(frame.header, frame.payload, limits);
    EXPECT_EQ(body.status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(DispatchBody, B56_RefusesEveryOtherLength) {
  const FrameLimits limits = Limits(4);
  const TestFrame frame = MakeDispatch(0, 3, limits);
  for (size_t length = 0; length <= frame.payload.size(); ++length) {
    const std::vector<std::byte> exact(frame.payload.begin(), frame.payload.begin() + static_cast<long>(length));
    EXPECT_EQ(DispatchBody::Parse(frame.header, exact, limits).ok(), length == frame.payload.size());
  }
}

TEST(ResultBody, OneRowPerPairUnlessItFailed) {
  const FrameLimits limits = Limits(4, DType::kBF16, DType::kF32);
  FrameHeader header;
  header.type = FrameType::kResult;
  header.pair_count = 2;
  const std::vector<std::byte> rows(32);
  const auto body = ResultBody::Parse(header, rows, limits);
  ASSERT_TRUE(body.ok());
  EXPECT_EQ(body->Row(1).data(), rows.data() + 16);
  EXPECT_FALSE(ResultBody::Parse(header, std::span(rows).first(31), limits).ok());
  header.code = 13;
  EXPECT_EQ(ResultBody::Parse(header, {}, limits)->pair_count(), 0u);
}

TEST(SplitIntoParts, OnePartWhereItFits) {
  std::vector<PartRange> parts;
  ASSERT_TRUE(SplitIntoParts(std::vector<uint32_t>{2, 1, 3}, Limits(64), parts).ok());
  EXPECT_EQ(parts, (std::vector<PartRange>{{0, 3, 0, 6}}));
  ASSERT_TRUE(SplitIntoParts({}, Limits(64), parts).ok());
  EXPECT_TRUE(parts.empty());
}

TEST(SplitIntoParts, CutsForTheResultToo) {
  std::vector<PartRange> parts;  // 17 result rows of 14,336 bytes fit a part: two rows of eight pairs
  ASSERT_TRUE(SplitIntoParts(std::vector<uint32_t>(5, 8), Limits(7168), parts).ok());
  EXPECT_EQ(parts, (std::vector<PartRange>{{0, 2, 0, 16}, {2, 2, 16, 16}, {4, 1, 32, 8}}));
}

TEST(SplitIntoParts, RepeatsARowWhoseResultsExceedAPart) {
  std::vector<PartRange> parts;  // 8 result rows of 28,672 bytes
  const FrameLimits limits = Limits(7168, DType::kF32, DType::kF32);
  ASSERT_TRUE(SplitIntoParts(std::vector<uint32_t>{1, 20, 1}, limits, parts).ok());
  EXPECT_EQ(parts, (std::vector<PartRange>{{0, 1, 0, 1}, {1, 1, 1, 8}, {1, 1, 9, 8}, {1, 2, 17, 5}}));
}

TEST(SplitIntoParts, AlwaysCoversAllPairsInOrderWithinTheLimits) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    FrameLimits limits = Limits(1 + random() % 8000, round % 2 ? DType::kBF16 : DType::kF8E4M3);
    limits.rows_max = 1 + random() % 64;
    limits.pairs_max = 1 + random() % 64;
    std::vector<uint32_t> pairs(random() % 200);
    for (uint32_t& count : pairs) count = 1 + random() % 10;
    std::vector<PartRange> parts;
    ASSERT_TRUE(SplitIntoParts(pairs, limits, parts).ok());
    uint32_t next_pair = 0, next_row = 0;
    for (const PartRange& part : parts) {
      ASSERT_EQ(part.first_pair, next_pair) << "round " << round;
      ASSERT_TRUE(part.first_row == next_row || part.first_row + 1 == next_row);
      ASSERT_LE(part.row_count, limits.rows_max);
      ASSERT_LE(part.pair_count, limits.pairs_max);
      ASSERT_LE(part.row_count * WireRowBytes(limits.row_dtype, limits.hidden_size) + part.pair_count * kPairBytes, kPartBytesMax);
      ASSERT_LE(part.pair_count * WireRowBytes(limits.result_dtype, limits.hidden_size), kPartBytesMax);
      next_pair += part.pair_count;
      next_row = part.first_row + part.row_count;
    }
    ASSERT_EQ(next_pair, std::accumulate(pairs.begin(), pairs.end(), 0u));
    ASSERT_EQ(next_row, pairs.size());
  }
}

}  // namespace
}  // namespace atoll::net
