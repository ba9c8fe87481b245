#include "attention_node/sampling/token_sampler.h"

#include <gmock/gmock.h>

#include <limits>

namespace atoll::attention_node {
namespace {

using testing::HasSubstr;

// Rows of logits that are sampled together, greedily, with one alternative each.
std::vector<SampleResult> SampleRows(std::vector<std::vector<float>> rows) {
  const auto width = static_cast<int32_t>(rows[0].size());
  SequenceRequest request;
  request.prompt_ids = {0};
  request.max_tokens = 9;
  const Vocabulary vocabulary{width, {}, {}};
  SequenceSampler sampler(request, vocabulary);
  std::vector<float> flat;
  for (const auto& row : rows) flat.insert(flat.end(), row.begin(), row.end());
  const std::vector<SampleWish> wishes(rows.size(), SampleWish{&sampler, 0, 1});
  std::vector<SampleResult> results(rows.size());
  TokenSampler token_sampler(width, {}, static_cast<int32_t>(rows.size()));
  const MatrixView view{flat.data(), DType::kF32, static_cast<int64_t>(rows.size()), width, width};
  token_sampler.Sample(view, wishes, results);
  return results;
}

TEST(TokenSampler, ANonFiniteLogitFailsItsRowAndNoOther) {
  constexpr float kInf = std::numeric_limits<float>::infinity(), kNaN = std::numeric_limits<float>::quiet_NaN();
  for (const float bad : {kInf, -kInf, kNaN}) {
    const auto results = SampleRows({{1, 3, 2, 0}, {1, 3, bad, 0}, {4, 3, 2, 0}});
    EXPECT_TRUE(absl::IsInternal(results[1].status)) << results[1].status;
    EXPECT_THAT(std::string(results[1].status.message()), HasSubstr("head"));
    ASSERT_TRUE(results[0].status.ok() && results[2].status.ok());
    EXPECT_EQ(results[0].token.token_id, 1);
    EXPECT_EQ(results[2].token.token_id, 0);
    EXPECT_EQ(results[2].token.top_ids, std::vector<int32_t>{0});
  }
}

}  // namespace
}  // namespace atoll::attention_node
