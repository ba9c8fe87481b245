// The device's tokens are the CPU's, whatever the filters: every step of the rule has one order or none.

#include "device_rig.h"
#include "kernels/sampling/sampler_cuda.h"

namespace atoll::kernels::testing {
namespace {

struct SamplingCase {
  SamplingParams params;
  RowState state = {};
  std::vector<int32_t> masked = {};
  std::vector<uint64_t> allowed = {};
};

std::vector<SamplingRow> RowsOf(const std::vector<SamplingCase>& cases, TestMatrix& logits) {
  std::vector<SamplingRow> rows;
  for (size_t i = 0; i < cases.size(); ++i) {
    rows.push_back({.logits = std::span(logits.view().RowAs<float>(static_cast<int64_t>(i)), logits.view().cols), .params = &cases[i].params,
                    .state = &cases[i].state, .masked_ids = cases[i].masked, .allowed = cases[i].allowed, .sequence_index = static_cast<uint32_t>(i % 3),
                    .position = static_cast<uint32_t>(100 + i)});
  }
  return rows;
}

std::vector<int32_t> OnDevice(DeviceRig& rig, std::span<const SamplingRow> rows, TestMatrix& logits) {
  DeviceSamplingBatch batch;
  for (const SamplingRow& row : rows) ATOLL_EXPECT_OK(batch.Add(row, logits.view().cols));
  TestMatrix space(DType::kF32, logits.view().rows, logits.view().cols);
  DeviceCopy there(rig, logits), scratch(rig, space);
  const auto tokens = rig.Room<SampledToken>(rows.size());
  ATOLL_EXPECT_OK(Sample(rig.stream(), {.logits = there.view(), .scratch = scratch.view(), .rows = rig.Upload(batch.rows), .biases = rig.Upload(batch.biases),
                                        .masked_ids = rig.Upload(batch.masked_ids), .seen = rig.Upload(batch.seen), .tokens = tokens}));
  std::vector<int32_t> found;
  for (const SampledToken& token : rig.Download(tokens)) found.push_back(token.token), found.push_back(static_cast<int32_t>(token.outcome));
  return found;
}

void ExpectTheCpusTokens(const std::vector<SamplingCase>& cases, TestMatrix& logits) {
  const std::vector<SamplingRow> rows = RowsOf(cases, logits);
  std::vector<SampledToken> expected(rows.size());
  Sampler sampler(logits.view().cols, 1);
  ATOLL_EXPECT_OK(sampler.Run(Context{}, rows, expected));
  const std::vector<int32_t> found = UnderSchedules([&](DeviceRig& rig) { return OnDevice(rig, rows, logits); });
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(found[2 * i], expected[i].token) << "row " << i;
    EXPECT_EQ(found[2 * i + 1], static_cast<int32_t>(expected[i].outcome)) << "row " << i;
  }
}

// Every combination of the filters, one row each.
TEST(SamplingOnADevice, EveryFilter) {
  std::vector<SamplingCase> cases = {{{.temperature = 0, .top_k = 3, .top_p = 0.5f}}, {{.temperature = 1.5f, .top_p = 0.9f, .seed = 1}}};
  for (int32_t top_k : {0, 1, 7, 5000}) {
    for (float top_p : {1.0f, 0.9f, 0.01f}) {
      for (float min_p : {0.0f, 0.05f}) {
        cases.push_back({{.temperature = 0.7f, .top_k = top_k, .top_p = top_p, .min_p = min_p, .seed = cases.size() * 77}});
      }
    }
  }
  for (int64_t vocabulary : {1, 1000}) {
    std::mt19937 random(static_cast<uint32_t>(vocabulary));
    TestMatrix logits(DType::kF32, static_cast<int64_t>(cases.size()), vocabulary);
    logits.FillNormal(random, 3);
    ExpectTheCpusTokens(cases, logits);
  }
}

TEST(SamplingOnADevice, EqualLogits) {
  std::vector<SamplingCase> cases;
  for (int32_t top_k : {0, 3, 50}) {
    for (float top_p : {1.0f, 0.5f, 0.001f}) {
      for (float temperature : {0.0f, 1.0f}) cases.push_back({{.temperature = temperature, .top_k = top_k, .top_p = top_p, .seed = 5 + cases.size()}});
    }
  }
  TestMatrix logits(DType::kF32, static_cast<int64_t>(cases.size()), 300);
  for (int64_t row = 0; row < logits.view().rows; ++row) {
    for (int64_t i = 0; i < 300; ++i) logits.Set(row, i, static_cast<float>(i % (row % 4 + 1)));
  }
  ExpectTheCpusTokens(cases, logits);
}

TEST(SamplingOnADevice, BiasesMasksAndPenalties) {
  std::vector<SamplingCase> cases(4);
  cases[0].params = {.presence_penalty = 0.5f, .frequency_penalty = 0.3f, .repetition_penalty = 1.3f, .seed = 9};
  cases[1].params = {.temperature = 0, .repetition_penalty = 0.7f};
  cases[2].params = {.top_p = 0.8f, .logit_bias = {{3, 8.0f}, {4, -100.0f}, {3, 0.5f}}, .seed = 3};
  cases[3].params = {.top_k = 4, .presence_penalty = 2, .logit_bias = {{40, 6.0f}}, .seed = 4};
  for (SamplingCase& c : cases) {
    c.state.AddPrompt(std::vector<int32_t>{1, 5, 5, 40});
    for (int32_t token : {5, 7, 7, 49}) c.state.AddGenerated(token);
    c.masked = {0, 49};
  }
  cases[1].allowed = cases[3].allowed = {0x0001F3A5C7};
  std::mt19937 random(1);
  TestMatrix logits(DType::kF32, 4, 50);
  logits.FillNormal(random);
  ExpectTheCpusTokens(cases, logits);
}

TEST(SamplingOnADevice, RowsWithoutAToken) {
  std::vector<SamplingCase> cases(3);
  cases[1].masked = {0, 1, 2, 3};
  TestMatrix logits(DType::kF32, 3, 4);
  for (int64_t row = 0; row < 3; ++row) {
    for (int64_t i = 0; i < 4; ++i) logits.Set(row, i, row == 0 && i == 3 ? INFINITY : 1.0f);
  }
  ExpectTheCpusTokens(cases, logits);
}

TEST(SamplingOnADevice, IdsOutsideTheVocabularyAreErrors) {
  SamplingParams params;
  const std::vector<int32_t> masked = {4};
  DeviceSamplingBatch batch;
  EXPECT_EQ(batch.Add({.logits = {}, .params = &params, .masked_ids = masked}, 4).code, KernelErrorCode::kInvalidValue);
  EXPECT_EQ(batch.Add({}, 4).code, KernelErrorCode::kInvalidShape);
}

}  // namespace
}  // namespace atoll::kernels::testing
