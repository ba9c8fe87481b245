#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "kernels/sampling/sampler.h"
#include "op_testing.h"
// The generator over one lane.
#include "kernels/math/lanes_scalar.h"
#include "kernels/sampling/philox.h"
#include "kernels/sampling/sampler_rows.h"

namespace atoll::kernels::testing {
namespace {

SampledToken SampleOne(Isa isa, const SamplingRow& row) {
  Sampler sampler(static_cast<int64_t>(row.logits.size()), 1);
  std::vector<SampledToken> token(1);
  const KernelError error = sampler.Run({isa, nullptr}, {&row, 1}, token);
  EXPECT_TRUE(error.ok()) << error.text;
  return token[0];
}

// How often each token comes over `count` positions.
std::map<int32_t, int> Frequencies(Isa isa, const std::vector<float>& logits, const SamplingParams& params, uint32_t count) {
  Sampler sampler(static_cast<int64_t>(logits.size()), 1);
  std::vector<SamplingRow> rows;
  for (uint32_t position = 0; position < count; ++position) rows.push_back({.logits = logits, .params = &params, .position = position});
  std::vector<SampledToken> tokens(count);
  EXPECT_TRUE(sampler.Run({isa, nullptr}, rows, tokens).ok());
  std::map<int32_t, int> frequencies;
  for (const SampledToken& token : tokens) frequencies[token.token] += 1;
  return frequencies;
}

std::set<int32_t> Support(Isa isa, const std::vector<float>& logits, const SamplingParams& params) {
  std::set<int32_t> support;
  for (const auto& [token, times] : Frequencies(isa, logits, params, 3000)) support.insert(token);
  return support;
}

TEST(Philox, KnownAnswer) {   // Random123's kat_vectors: philox4x32 10, counter and key 0
  const PhiloxWords words = Philox({}, 0);
  const uint32_t want[] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  for (int i = 0; i < 4; ++i) EXPECT_EQ(static_cast<uint32_t>(words.word[i]), want[i]);
}

TEST(GumbelNoise, EndsAreFinite) {
  FlushDenormals flush;
  EXPECT_NEAR(GumbelNoise(0), 33 * std::log(2.0), 1e-4);
  EXPECT_LT(GumbelNoise(0), kNoiseMax);
  EXPECT_NEAR(GumbelNoise(-1), -std::log(24 * std::log(2.0)), 1e-4);
  EXPECT_NEAR(GumbelNoise(static_cast<int32_t>(0x80000000u)), -std::log(std::log(2.0)), 1e-6);
}

class SamplerPerIsa : public ::testing::TestWithParam<Isa> {};
INSTANTIATE_TEST_SUITE_P(Host, SamplerPerIsa, ::testing::ValuesIn(HostIsas()), [](const auto& info) { return std::string(IsaName(info.param)); });

TEST_P(SamplerPerIsa, EqualsTheReference) {
  ComputePool pool({.threads = 3});
  const std::vector<SamplingParams> all_params = {
      {.seed = 1}, {.temperature = 0.6f, .top_p = 0.95f, .seed = 2}, {.temperature = 2, .top_k = 20, .seed = 3}, {.temperature = 1.5f, .min_p = 0.05f, .seed = ~0ull},
      {.top_k = 50, .top_p = 0.5f, .min_p = 0.01f, .seed = 4}, {.temperature = 0}, {.temperature = 30, .top_p = 0.999f, .seed = 5},
      {.presence_penalty = 1, .frequency_penalty = 0.5f, .repetition_penalty = 1.3f, .logit_bias = {{0, 3.5f}}, .seed = 6}};
  for (int64_t vocabulary : {1, 2, 15, 16, 17, 63, 64, 65, 130, 4099}) {
    std::mt19937 random(static_cast<uint32_t>(vocabulary));
    RowState state;
    state.AddPrompt(std::vector<int32_t>{0, static_cast<int32_t>(vocabulary / 2)});
    state.AddGenerated(0);
    std::vector<std::vector<float>> logits;
    std::vector<SamplingRow> rows;
    for (int i = 0; i < 24; ++i) logits.push_back(NormalVector(random, vocabulary, i < 12 ? 1 : 8));
    const std::vector<int32_t> masked = {static_cast<int32_t>(vocabulary - 1)};
    for (uint32_t i = 0; i < 24; ++i) {
      for (const SamplingParams& params : all_params) {
        rows.push_back({.logits = logits[i], .params = &params, .state = &state, .masked_ids = i % 3 == 0 ? std::span<const int32_t>(masked) : std::span<const int32_t>(),
                        .sequence_index = i % 2, .position = 1000 + i});
      }
    }
    Sampler sampler(vocabulary, 3);
    std::vector<SampledToken> want(rows.size()), got(rows.size());
    ASSERT_TRUE(sampler.Run({Isa::kReference, nullptr}, rows, want).ok());
    ASSERT_TRUE(sampler.Run({GetParam(), &pool}, rows, got).ok());
    for (size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(want[i].token, got[i].token) << "vocabulary " << vocabulary << " row " << i;
      EXPECT_EQ(want[i].outcome, got[i].outcome);
    }
  }
}

TEST_P(SamplerPerIsa, FollowsTheDistribution) {
  const std::vector<double> p = {0.4, 0.25, 0.15, 0.1, 0.05, 0.03, 0.015, 0.005};
  std::vector<float> logits;
  for (double probability : p) logits.push_back(static_cast<float>(2 * std::log(probability)));
  const int count = 40000;
  for (uint64_t seed : {7ull, 8ull, 1ull << 40}) {
    const auto seen = Frequencies(GetParam(), logits, {.temperature = 2, .seed = seed}, count);
    double chi = 0;
    for (size_t i = 0; i < p.size(); ++i) {
      const double expected = p[i] * count, found = seen.contains(static_cast<int32_t>(i)) ? seen.at(static_cast<int32_t>(i)) : 0;
      chi += (found - expected) * (found - expected) / expected;
    }
    EXPECT_LT(chi, 24.3) << "seed " << seed;   // 7 degrees of freedom, 0.1 %
  }
}

TEST_P(SamplerPerIsa, RareTokensComeAtTheirRate) {   // one of 200 tokens far below the first: pruning must not lose them
  std::vector<float> logits(201, -8.0f);
  logits[100] = 0;
  const double rest = 200 * std::exp(-8.0);
  const auto seen = Frequencies(GetParam(), logits, {.seed = 3}, 40000);
  const double expected = 40000 * rest / (1 + rest);
  EXPECT_NEAR(40000 - seen.at(100), expected, 4 * std::sqrt(expected));
}

TEST_P(SamplerPerIsa, TopKTopPMinPTables) {
  std::vector<float> logits;   // probabilities 0.1, 0.4, 0.2, 0.2, 0.1
  for (double p : {0.1, 0.4, 0.2, 0.2, 0.1}) logits.push_back(static_cast<float>(std::log(p)) + 5);
  using Set = std::set<int32_t>;
  const auto support = [&](SamplingParams params) { return Support(GetParam(), logits, params); };
  EXPECT_EQ(support({}), (Set{0, 1, 2, 3, 4}));
  EXPECT_EQ(support({.top_k = 1}), (Set{1}));
  EXPECT_EQ(support({.top_k = 2}), (Set{1, 2}));      // of two equal tokens the lower id
  EXPECT_EQ(support({.top_k = 4}), (Set{0, 1, 2, 3}));
  EXPECT_EQ(support({.top_k = 100}), (Set{0, 1, 2, 3, 4}));
  EXPECT_EQ(support({.top_p = 1e-6f}), (Set{1}));
  EXPECT_EQ(support({.top_p = 0.39f}), (Set{1}));
  EXPECT_EQ(support({.top_p = 0.41f}), (Set{1, 2}));
  EXPECT_EQ(support({.top_p = 0.61f}), (Set{1, 2, 3}));
  EXPECT_EQ(support({.top_p = 0.81f}), (Set{0, 1, 2, 3}));
  EXPECT_EQ(support({.top_p = 0.91f}), (Set{0, 1, 2, 3, 4}));
  EXPECT_EQ(support({.top_k = 2, .top_p = 0.66f}), (Set{1}));      // 0.4 of 0.6 comes before the second
  EXPECT_EQ(support({.top_k = 2, .top_p = 0.67f}), (Set{1, 2}));
  EXPECT_EQ(support({.min_p = 0.49f}), (Set{1, 2, 3}));
  EXPECT_EQ(support({.min_p = 0.51f}), (Set{1}));
  EXPECT_EQ(support({.min_p = 1}), (Set{1}));
  EXPECT_EQ(support({.temperature = 0}), (Set{1}));
  EXPECT_EQ(support({.top_p = 0.7f, .min_p = 0.49f}), (Set{1, 2}));  // min-p first: 0.4, 0.2, 0.2 of 0.8
}

TEST_P(SamplerPerIsa, TopPOfManyTokensIsTheSmallestPrefix) {
  std::mt19937 random(9);
  const std::vector<float> logits = NormalVector(random, 2000, 1.5f);
  std::vector<int32_t> order(2000);
  for (int i = 0; i < 2000; ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return logits[a] > logits[b]; });
  double total = 0, before = 0;
  for (float x : logits) total += std::exp(double{x});
  std::set<int32_t> allowed;
  for (int32_t id : order) {
    if (before < 0.3 * total) allowed.insert(id);
    before += std::exp(double{logits[id]});
  }
  const std::set<int32_t> seen = Support(GetParam(), logits, {.top_p = 0.3f});
  for (int32_t id : seen) EXPECT_TRUE(allowed.contains(id)) << id;
  EXPECT_GT(seen.size(), allowed.size() * 9 / 10);
}

TEST_P(SamplerPerIsa, GreedyTakesTheLowerOfEqualsAndAppliesAllAdjustments) {
  const Isa isa = GetParam();
  const std::vector<float> logits = {1, 4, 4, 3, -2};
  SamplingParams greedy{.temperature = 0};
  EXPECT_EQ(SampleOne(isa, {.logits = logits, .params = &greedy}).token, 1);
  const std::vector<int32_t> masked = {1, 2};
  EXPECT_EQ(SampleOne(isa, {.logits = logits, .params = &greedy, .masked_ids = masked}).token, 3);
  SamplingParams biased{.temperature = 0, .logit_bias = {{0, 3.5f}}};
  EXPECT_EQ(SampleOne(isa, {.logits = logits, .params = &biased}).token, 0);
  RowState state;
  state.AddPrompt(std::vector<int32_t>{1, 2, 1});
  SamplingParams repetition{.temperature = 0, .repetition_penalty = 2};
  EXPECT_EQ(SampleOne(isa, {.logits = logits, .params = &repetition, .state = &state}).token, 3);   // 4 / 2 < 3
  SamplingParams frequency{.temperature = 0, .frequency_penalty = 0.6f};
  EXPECT_EQ(SampleOne(isa, {.logits = logits, .params = &frequency, .state = &state}).token, 1);   // the prompt does not count
  state.AddGenerated(1);
  EXPECT_EQ(SampleOne(isa, {.logits = logits, .params = &frequency, .state = &state}).token, 2);
  SamplingParams presence{.temperature = 0, .presence_penalty = 1.5f};
  state.AddGenerated(2);
  EXPECT_EQ(SampleOne(isa, {.logits = logits, .params = &presence, .state = &state}).token, 3);
  RowState copy = state;   // a draft leaves the original alone
  copy.AddGenerated(3);
  EXPECT_EQ(state.entries().size(), 2u);
  EXPECT_EQ(copy.entries().size(), 3u);
}

TEST_P(SamplerPerIsa, AllowedIdsAreThoseThatAreNotMasked) {
  std::vector<float> logits(1000);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = std::sin(static_cast<float>(i) * 0.37f) * 4;
  const SamplingParams params{.temperature = 0.9f, .top_k = 40, .top_p = 0.9f, .seed = 7};
  for (const size_t words : {size_t{16}, size_t{9}}) {  // ids beyond the words are not allowed
    std::vector<uint64_t> allowed(words);
    std::vector<int32_t> masked;
    for (int32_t id = 0; id < 1000; ++id) {
      const bool yes = id / 64 != 3 && (id / 64 == 5 || id % 3 == 0) && static_cast<size_t>(id) < words * 64;
      if (yes) allowed[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
      else masked.push_back(id);
    }
    for (uint32_t position = 0; position < 200; ++position) {
      const SampledToken by_bits = SampleOne(GetParam(), {.logits = logits, .params = &params, .allowed = allowed, .position = position});
      EXPECT_EQ(by_bits.token, SampleOne(GetParam(), {.logits = logits, .params = &params, .masked_ids = masked, .position = position}).token);
      EXPECT_TRUE(by_bits.token % 3 == 0 || by_bits.token / 64 == 5);
    }
  }
  const std::vector<uint64_t> none(16);
  EXPECT_EQ(SampleOne(GetParam(), {.logits = logits, .params = &params, .allowed = none}).outcome, SampleOutcome::kNothingAllowed);
}

TEST_P(SamplerPerIsa, NoiseDependsOnSeedSequenceAndPositionOnly) {
  std::mt19937 random(11);
  const std::vector<float> logits = NormalVector(random, 500, 0.5f);
  SamplingParams params{.seed = 5}, other{.seed = 6};
  const auto token = [&](const SamplingParams& p, uint32_t sequence, uint32_t position) {
    return SampleOne(GetParam(), {.logits = logits, .params = &p, .sequence_index = sequence, .position = position}).token;
  };
  EXPECT_EQ(token(params, 0, 9), token(params, 0, 9));
  int changed = 0;
  for (uint32_t position = 0; position < 20; ++position) {
    changed += token(params, 0, position) != token(other, 0, position);
    changed += token(params, 0, position) != token(params, 1, position);
    changed += token(params, 0, position) != token(params, 0, position + 1);
  }
  EXPECT_GT(changed, 50);
}

TEST_P(SamplerPerIsa, OutcomesOfRowsThatCannotBeSampled) {
  SamplingParams params{.seed = 1};
  for (float bad : {NAN, INFINITY, -INFINITY}) {
    for (int at : {0, 19}) {
      std::vector<float> logits(20, 1.0f);
      logits[at] = bad;
      const SampledToken token = SampleOne(GetParam(), {.logits = logits, .params = &params});
      EXPECT_EQ(token.outcome, SampleOutcome::kNonFiniteLogit);
      EXPECT_EQ(token.token, -1);
    }
  }
  const std::vector<float> logits(3, 1.0f);
  const std::vector<int32_t> all = {0, 1, 2};
  EXPECT_EQ(SampleOne(GetParam(), {.logits = logits, .params = &params, .masked_ids = all}).outcome, SampleOutcome::kNothingAllowed);
}

TEST(Sampler, RefusesShapesAndStrangers) {
  Sampler sampler(10, 1);
  SamplingParams params;
  const std::vector<float> logits(10, 0.0f), many(11, 0.0f);
  std::vector<SampledToken> tokens(1);
  const std::vector<int32_t> stranger = {10};
  const auto code = [&](const SamplingRow& row) { return sampler.Run({}, {&row, 1}, tokens).code; };
  EXPECT_EQ(code({.logits = many, .params = &params}), KernelErrorCode::kInvalidShape);
  EXPECT_EQ(code({.logits = {}, .params = &params}), KernelErrorCode::kInvalidShape);
  EXPECT_EQ(code({.logits = logits, .params = nullptr}), KernelErrorCode::kInvalidShape);
  EXPECT_EQ(code({.logits = logits, .params = &params, .masked_ids = stranger}), KernelErrorCode::kInvalidValue);
  RowState state;
  state.AddGenerated(10);
  EXPECT_EQ(code({.logits = logits, .params = &params, .state = &state}), KernelErrorCode::kInvalidValue);
}

TEST(CheckSamplingParams, NamesWhatIsWrong) {
  EXPECT_TRUE(CheckSamplingParams({}, 10).ok());
  EXPECT_TRUE(CheckSamplingParams({.temperature = 0, .top_k = 5, .top_p = 1, .min_p = 0, .logit_bias = {{9, -100}}}, 10).ok());
  const std::pair<SamplingParams, const char*> bad[] = {
      {{.temperature = -1}, "temperature"}, {{.temperature = NAN}, "temperature"}, {{.top_k = -1}, "top_k"}, {{.top_p = 0}, "top_p"}, {{.top_p = 1.1f}, "top_p"},
      {{.min_p = 2}, "min_p"}, {{.presence_penalty = INFINITY}, "presence"}, {{.frequency_penalty = NAN}, "frequency"}, {{.repetition_penalty = 0}, "repetition"},
      {{.logit_bias = {{10, 1}}}, "token 10"}, {{.logit_bias = {{-1, 1}}}, "token -1"}, {{.logit_bias = {{0, NAN}}}, "bias"}};
  for (const auto& [params, name] : bad) {
    const KernelError error = CheckSamplingParams(params, 10);
    EXPECT_EQ(error.code, KernelErrorCode::kInvalidValue);
    EXPECT_NE(error.text.find(name), std::string::npos) << error.text;
  }
}

TEST(RowState, CountsAndKeepsOrder) {
  RowState state;
  state.AddGenerated(5);
  state.AddPrompt(std::vector<int32_t>{9, 1, 5, 1});
  state.AddGenerated(5);
  state.AddGenerated(7);
  std::vector<std::pair<int32_t, int32_t>> got;
  for (const RowState::Entry& entry : state.entries()) got.emplace_back(entry.token, entry.generated);
  EXPECT_EQ(got, (std::vector<std::pair<int32_t, int32_t>>{{1, 0}, {5, 2}, {7, 1}, {9, 0}}));
}

}  // namespace
}  // namespace atoll::kernels::testing
