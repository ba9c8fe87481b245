#include "kernels/grouped_experts/grouped_experts.h"

#include <gtest/gtest.h>

#include "kernels/swiglu/swiglu.h"
#include "tests/kernels/linear_case.h"

namespace atoll::kernels {
namespace {

struct Expert {
  TestPacked gate, up, down;

  Expert(DType dtype, int64_t hidden, int64_t intermediate, std::mt19937& random)
      : gate(TestWeight(dtype, intermediate, hidden, random).Source()),
        up(TestWeight(dtype, intermediate, hidden, random).Source()),
        down(TestWeight(dtype, hidden, intermediate, random).Source()) {}
  ExpertGroup Group(int64_t first_pair, int64_t pair_count) const { return {gate.matrix, up.matrix, down.matrix, first_pair, pair_count}; }
};

struct Case {
  std::vector<Expert> experts;
  std::vector<ExpertGroup> groups;
  TestMatrix x;
  std::vector<int32_t> pair_row;

  // `counts`: pairs of each expert; a negative one leaves a gap of that many pairs in no group.
  Case(DType weights, DType activation, int64_t hidden, int64_t intermediate, std::vector<int64_t> counts)
      : x(activation, 10, hidden) {
    std::mt19937 random(static_cast<uint32_t>(hidden * 31 + intermediate));
    x.Fill(random);
    int64_t pairs = 0;
    for (int64_t count : counts) {
      if (count >= 0) {
        experts.emplace_back(weights, hidden, intermediate, random);
        groups.push_back(experts.back().Group(pairs, count));
      }
      pairs += std::abs(count);
    }
    for (int64_t p = 0; p < pairs; ++p) pair_row.push_back(static_cast<int32_t>(random() % 10));
  }
  int64_t pairs() const { return static_cast<int64_t>(pair_row.size()); }
};

// One pair at a time from the other ops' reference forms.
TestMatrix Expected(Case& c, DType out_dtype) {
  TestMatrix out(out_dtype, c.pairs(), c.x.cols());
  for (const ExpertGroup& group : c.groups) {
    for (int64_t p = group.first_pair; p < group.first_pair + group.pair_count; ++p) {
      const int64_t width = group.gate.outputs;
      TestMatrix g(DType::kF32, 1, width), u(DType::kF32, 1, width), h(c.x.dtype(), 1, width);
      EXPECT_TRUE(Linear({}, group.gate, c.x.view().Rows(c.pair_row[p], 1), g.view()).ok());
      EXPECT_TRUE(Linear({}, group.up, c.x.view().Rows(c.pair_row[p], 1), u.view()).ok());
      EXPECT_TRUE(SwiGlu({}, g.view(), u.view(), h.view()).ok());
      EXPECT_TRUE(Linear({}, group.down, h.view(), out.view().Rows(p, 1)).ok());
    }
  }
  return out;
}

void ExpectExact(Case c, DType out_dtype) {
  TestMatrix expected = Expected(c, out_dtype);
  GroupedExperts op({.pairs_max = c.pairs(), .intermediate_max = c.groups[0].gate.outputs});
  for (Isa isa : HostIsas()) {
    for (int threads : {1, 3}) {
      ComputePool pool({.threads = threads});
      TestMatrix out(out_dtype, c.pairs(), c.x.cols());
      const KernelError error = op.Run({.isa = isa, .pool = &pool}, c.groups, c.x.view(), c.pair_row, out.view());
      ASSERT_TRUE(error.ok()) << error.text;
      ASSERT_TRUE(out.bytes() == expected.bytes()) << IsaName(isa) << " with " << threads << " threads";
    }
  }
}

TEST(GroupedExperts, EveryPairIsItsRowThroughItsExpert) {
  for (DType weights : {DType::kF8E4M3, DType::kBF16}) {
    for (DType activation : {DType::kBF16, DType::kF32}) {
      for (DType out : {DType::kBF16, DType::kF32}) {
        ExpectExact(Case(weights, activation, 66, 64, {1}), out);
        ExpectExact(Case(weights, activation, 129, 70, {2, 0, 7, -3, 1, 30}), out);
      }
    }
  }
}

TEST(GroupedExperts, ManyRowsOfOneExpert) { ExpectExact(Case(DType::kF8E4M3, DType::kBF16, 40, 130, {300}), DType::kF32); }

TEST(GroupedExperts, MoreGroupsThanOneRegionHolds) { ExpectExact(Case(DType::kBF16, DType::kBF16, 4, 6, std::vector<int64_t>(1030, 1)), DType::kBF16); }

TEST(GroupedExperts, WithoutPairRowsPairPReadsRowP) {
  Case c(DType::kF8E4M3, DType::kBF16, 50, 20, {4, 6});
  c.pair_row = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  TestMatrix named(DType::kF32, 10, 50), unnamed(DType::kF32, 10, 50);
  GroupedExperts op({.pairs_max = 10, .intermediate_max = 20});
  ASSERT_TRUE(op.Run({}, c.groups, c.x.view(), c.pair_row, named.view()).ok());
  ASSERT_TRUE(op.Run({}, c.groups, c.x.view(), {}, unnamed.view()).ok());
  EXPECT_TRUE(named.bytes() == unnamed.bytes());
}

TEST(GroupedExperts, WhatDoesNotFitIsAnErrorAndWritesNothing) {
  Case c(DType::kBF16, DType::kBF16, 12, 8, {2, 3});
  TestMatrix out(DType::kF32, 5, 12);
  const auto run = [&](const GroupedExpertsLimits& limits) {
    const KernelError error = GroupedExperts(limits).Run({}, c.groups, c.x.view(), c.pair_row, out.view());
    EXPECT_TRUE(out.bytes() == TestMatrix(DType::kF32, 5, 12).bytes());
    return error.code;
  };
  const GroupedExpertsLimits enough{.pairs_max = 5, .intermediate_max = 8};
  EXPECT_EQ(run({.pairs_max = 4, .intermediate_max = 8}), KernelErrorCode::kInvalidShape);
  EXPECT_EQ(run({.pairs_max = 5, .intermediate_max = 7}), KernelErrorCode::kInvalidShape);
  c.pair_row[3] = 10;
  EXPECT_EQ(run(enough), KernelErrorCode::kInvalidShape);
  c.pair_row[3] = -1;
  EXPECT_EQ(run(enough), KernelErrorCode::kInvalidShape);
  c.pair_row[3] = 0;
  c.groups[1].first_pair = 1;
  EXPECT_EQ(run(enough), KernelErrorCode::kInvalidShape);
  c.groups[1].first_pair = 2;
  c.groups[1].pair_count = INT64_MAX;
  EXPECT_EQ(run(enough), KernelErrorCode::kInvalidShape);
  c.groups[1].pair_count = 3;
  std::swap(c.groups[1].down, c.groups[1].up);
  EXPECT_EQ(run(enough), KernelErrorCode::kInvalidShape);
}

}  // namespace
}  // namespace atoll::kernels
