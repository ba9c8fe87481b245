#include "kernels/softmax/logprobs.h"

#include <gtest/gtest.h>

#include <cmath>

#include "op_testing.h"

namespace atoll::kernels::testing {
namespace {

class LogprobsPerIsa : public ::testing::TestWithParam<Isa> {};
INSTANTIATE_TEST_SUITE_P(Host, LogprobsPerIsa, ::testing::ValuesIn(HostIsas()), [](const auto& info) { return std::string(IsaName(info.param)); });

TEST_P(LogprobsPerIsa, NormalizersEqualTheReferenceAndFloat64) {
  ComputePool pool({.threads = 2});
  for (int64_t vocabulary : {1, 2, 15, 16, 17, 33, 4096, 129280}) {
    const int64_t rows = vocabulary > 5000 ? 2 : 5;
    std::mt19937 random(1);
    TestMatrix logits(DType::kF32, rows, vocabulary);
    logits.FillNormal(random, 4);
    std::vector<LogNormalizer> want(rows), got(rows);
    ASSERT_TRUE(LogNormalizers({}, logits.view(), want).ok());
    ASSERT_TRUE(LogNormalizers({GetParam(), &pool}, logits.view(), got).ok());
    for (int64_t row = 0; row < rows; ++row) {
      EXPECT_TRUE(got[row].finite);
      EXPECT_EQ(want[row].max, got[row].max);
      EXPECT_EQ(want[row].log_sum, got[row].log_sum) << vocabulary;
      double sum = 0;
      for (int64_t i = 0; i < vocabulary; ++i) sum += std::exp(double{logits.Get(row, i)} - got[row].max);
      EXPECT_NEAR(got[row].log_sum, std::log(sum), 5e-5);   // thousands of tiny terms per lane
    }
  }
}

TEST_P(LogprobsPerIsa, NonFiniteRowsAreFlagged) {
  for (float bad : {NAN, INFINITY, -INFINITY}) {
    for (int64_t at : {0, 15, 16, 19}) {
      std::mt19937 random(2);
      TestMatrix logits(DType::kF32, 3, 20);
      logits.FillNormal(random);
      logits.Set(1, at, bad);
      std::vector<LogNormalizer> n(3);
      ASSERT_TRUE(LogNormalizers({GetParam(), nullptr}, logits.view(), n).ok());
      EXPECT_TRUE(n[0].finite && !n[1].finite && n[2].finite) << bad << " at " << at;
      std::vector<TokenLogprob> top(1);
      EXPECT_FALSE(TopLogprobs({logits.view().RowAs<float>(1), 20}, n[1], top).ok());
    }
  }
}

TEST(TopLogprobs, BestFirstAndLowerIdAmongEquals) {
  const std::vector<float> logits = {1, 3, 2, 3, 0, 2};
  std::vector<LogNormalizer> n(1);
  ASSERT_TRUE(LogNormalizers({}, ConstMatrixView(logits.data(), DType::kF32, 1, 6, 6), n).ok());
  std::vector<TokenLogprob> top(6);
  ASSERT_TRUE(TopLogprobs(logits, n[0], top).ok());
  std::vector<int32_t> ids;
  double total = 0;
  for (const TokenLogprob& t : top) {
    ids.push_back(t.token);
    total += std::exp(double{t.logprob});
    EXPECT_EQ(t.logprob, n[0].Logprob(logits[t.token]));
  }
  EXPECT_EQ(ids, (std::vector<int32_t>{1, 3, 2, 5, 0, 4}));
  EXPECT_NEAR(total, 1.0, 1e-6);
  top.resize(2);
  ASSERT_TRUE(TopLogprobs(logits, n[0], top).ok());
  EXPECT_EQ(top[1].token, 3);
  top.resize(7);
  EXPECT_EQ(TopLogprobs(logits, n[0], top).code, KernelErrorCode::kInvalidShape);
}

}  // namespace
}  // namespace atoll::kernels::testing
