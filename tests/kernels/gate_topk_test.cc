#include "kernels/gate_topk/gate_topk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "op_testing.h"

namespace atoll::kernels::testing {
namespace {

struct GateRun {
  std::vector<int32_t> experts;
  std::vector<float> weights;
  std::vector<uint8_t> non_finite;
  friend bool operator==(const GateRun&, const GateRun&) = default;
};

struct GateCase {
  TestMatrix logits;
  std::vector<float> bias, delta;
  GateParams params;
};

GateRun Choose(const Context& context, GateCase& c) {
  const int64_t rows = c.logits.view().rows;
  GateRun run{std::vector<int32_t>(rows * c.params.experts_per_token), std::vector<float>(rows * c.params.experts_per_token), std::vector<uint8_t>(rows, 7)};
  const KernelError error = GateTopK(context, {.logits = c.logits.view(), .bias = c.bias, .delta = c.delta, .params = c.params,
                                               .experts = run.experts, .weights = run.weights, .non_finite = run.non_finite});
  EXPECT_TRUE(error.ok()) << error.text;
  return run;
}

// The rule again, by sorting, in double: ids must match exactly, weights within 2e-2 (check 5 of the specification).
void ExpectMatchesSorting(GateCase& c, const GateRun& run) {
  const int64_t experts = c.logits.view().cols, size = experts / c.params.groups, k = c.params.experts_per_token;
  for (int64_t row = 0; row < c.logits.view().rows; ++row) {
    std::vector<float> s(experts), b(experts);
    for (int64_t e = 0; e < experts; ++e) s[e] = static_cast<float>(1 / (1 + std::exp(-double{c.logits.Get(row, e)}))), b[e] = s[e] + c.bias[e];
    std::vector<int64_t> groups(c.params.groups);
    std::iota(groups.begin(), groups.end(), 0);
    std::vector<float> score(c.params.groups);
    for (int64_t g = 0; g < c.params.groups; ++g) {
      std::vector<float> m(b.begin() + g * size, b.begin() + (g + 1) * size);
      std::sort(m.rbegin(), m.rend());
      score[g] = m[0] + (size > 1 ? m[1] : 0);
    }
    std::stable_sort(groups.begin(), groups.end(), [&](int64_t x, int64_t y) { return score[x] > score[y]; });
    std::vector<bool> kept(c.params.groups, false);
    for (int64_t i = 0; i < c.params.groups_kept; ++i) kept[groups[i]] = true;
    for (int64_t e = 0; e < experts; ++e) if (!kept[e / size]) b[e] = -INFINITY;
    std::vector<int32_t> ids(experts);
    std::iota(ids.begin(), ids.end(), 0);
    std::stable_sort(ids.begin(), ids.end(), [&](int32_t x, int32_t y) { return b[x] > b[y]; });
    double sum = 0;
    for (int64_t i = 0; i < k; ++i) sum += s[ids[i]];
    for (int64_t i = 0; i < k; ++i) {
      EXPECT_EQ(run.experts[row * k + i], ids[i]);
      EXPECT_NEAR(run.weights[row * k + i], (c.params.normalize ? s[ids[i]] / sum : s[ids[i]]) * c.params.scaling, 2e-2 * c.params.scaling);
    }
  }
}

class GatePerIsa : public ::testing::TestWithParam<Isa> {};
INSTANTIATE_TEST_SUITE_P(Host, GatePerIsa, ::testing::ValuesIn(HostIsas()), [](const auto& info) { return std::string(IsaName(info.param)); });

// Check 5 of the specification.
TEST_P(GatePerIsa, GridOfTheSpecification) {
  ComputePool pool({.threads = 2});
  for (int64_t rows : {1, 33, 64}) {
    for (float scaling : {1.0f, 2.5f}) {
      for (bool normalize : {true, false}) {
        std::mt19937 random(static_cast<uint32_t>(rows));
        GateCase c{TestMatrix(DType::kF32, rows, 16), NormalVector(random, 16), {}, {.groups = 8, .groups_kept = 2, .experts_per_token = 2, .normalize = normalize, .scaling = scaling}};
        c.logits.FillNormal(random);
        const GateRun run = Choose({GetParam(), &pool}, c);
        ExpectMatchesSorting(c, run);
        EXPECT_EQ(run, Choose({}, c));
      }
    }
  }
}

TEST_P(GatePerIsa, ShapesOfTheFamilyEqualTheReference) {
  const GateParams family[] = {{.groups = 8, .groups_kept = 4, .experts_per_token = 8, .scaling = 2.5f}, {.groups = 1, .groups_kept = 1, .experts_per_token = 6, .scaling = 2.446f},
                               {.groups = 4, .groups_kept = 2, .experts_per_token = 4, .scaling = 2}, {.groups = 16, .groups_kept = 3, .experts_per_token = 1}};
  for (const GateParams& params : family) {
    for (int64_t experts : {32, 64, 256, 384}) {
      std::mt19937 random(5);
      GateCase c{TestMatrix(DType::kF32, 20, experts), NormalVector(random, experts, 0.1f, 2), NormalVector(random, experts, 0.01f), params};
      c.logits.FillNormal(random, 3);
      const GateRun run = Choose({GetParam(), nullptr}, c);
      EXPECT_EQ(run, Choose({}, c));
      c.delta.clear();
      ExpectMatchesSorting(c, Choose({GetParam(), nullptr}, c));
    }
  }
}

struct GateTrace {
  GateTrace(const Context& context, GateCase& c)
      : run(Choose(context, c)), scores(DType::kF32, c.logits.view().rows, c.logits.view().cols),
        biased(DType::kF32, c.logits.view().rows, c.logits.view().cols) {
    GateRun again = run;
    const KernelError error = GateTopK(context, {.logits = c.logits.view(), .bias = c.bias, .delta = c.delta, .params = c.params,
                                                 .experts = again.experts, .weights = again.weights, .non_finite = again.non_finite,
                                                 .scores = scores.view(), .biased = biased.view()});
    EXPECT_TRUE(error.ok()) << error.text;
    EXPECT_EQ(again, run);
  }
  const GateRun run;
  TestMatrix scores, biased;
};

struct DeltaCase : GateCase {
  DeltaCase(int64_t experts, float epsilon, uint32_t seed) : GateCase{TestMatrix(DType::kF32, 40, experts), {}, std::vector<float>(experts), {}} {
    std::mt19937 random(seed);
    bias = NormalVector(random, experts, 0.1f, 2);
    params = {.groups = 8, .groups_kept = 4, .experts_per_token = 8, .scaling = 2.5f};
    std::uniform_real_distribution<float> uniform(-epsilon, epsilon);
    for (float& one : delta) one = uniform(random);
    logits.FillNormal(random, 2);
  }
};

TEST_P(GatePerIsa, ADeltaOfZeroIsNoDelta) {
  DeltaCase c(256, 0, 11);
  const GateRun zeros = Choose({GetParam(), nullptr}, c);
  c.delta.clear();
  EXPECT_EQ(Choose({GetParam(), nullptr}, c), zeros);
}

TEST_P(GatePerIsa, ADeltaTradesNearTiesOfTheSameGroupsAndStaysOutOfTheWeights) {
  constexpr float kEpsilon = 0.02f;
  DeltaCase c(256, kEpsilon, 12), plain(256, kEpsilon, 12);
  plain.delta.clear();
  const GateTrace with({GetParam(), nullptr}, c), without({GetParam(), nullptr}, plain);
  EXPECT_EQ(with.run, Choose({}, c));
  int changed = 0;
  for (int64_t row = 0; row < 40; ++row) {
    const std::vector<int32_t> now(with.run.experts.begin() + row * 8, with.run.experts.begin() + row * 8 + 8);
    const std::vector<int32_t> before(without.run.experts.begin() + row * 8, without.run.experts.begin() + row * 8 + 8);
    const float least = without.biased.Get(row, before.back());
    for (const int32_t e : now) {
      if (std::find(before.begin(), before.end(), e) != before.end()) continue;
      ++changed;
      EXPECT_GE(without.biased.Get(row, e), least - 2 * kEpsilon);   // -infinity in a group that was not kept
    }
    float sum = 0;
    for (const int32_t e : now) sum += without.scores.Get(row, e);
    for (int i = 0; i < 8; ++i) EXPECT_EQ(with.run.weights[row * 8 + i], without.scores.Get(row, now[i]) / (sum + 1e-20f) * 2.5f);
  }
  EXPECT_GT(changed, 5);
}

TEST_P(GatePerIsa, ScoresOnTheWayAreTheReferencesAndGiveTheSameWeights) {
  DeltaCase c(96, 0.05f, 13);
  c.logits.Set(3, 7, NAN);
  const GateTrace trace({GetParam(), nullptr}, c), reference({}, c);
  EXPECT_EQ(trace.run, reference.run);
  for (int64_t row = 0; row < 40; ++row) {
    if (row == 3) continue;
    for (int64_t e = 0; e < 96; ++e) {
      EXPECT_EQ(trace.scores.Get(row, e), reference.scores.Get(row, e));
      EXPECT_EQ(trace.biased.Get(row, e), reference.biased.Get(row, e));
    }
    std::vector<float> scores(96), weights(8);
    for (int64_t e = 0; e < 96; ++e) scores[e] = trace.scores.Get(row, e);
    GateWeightsOf(c.params, scores.data(), trace.run.experts.data() + row * 8, weights.data());
    EXPECT_EQ(weights, std::vector<float>(trace.run.weights.begin() + row * 8, trace.run.weights.begin() + row * 8 + 8));
  }
}

// Check 5 of the specification.
TEST_P(GatePerIsa, HandCase) {
  GateCase c{TestMatrix(DType::kF32, 1, 4), {-10, 0, 0, 10}, {}, {.experts_per_token = 2, .scaling = 2.827f}};
  for (int e = 0; e < 4; ++e) c.logits.Set(0, e, static_cast<float>(4 - e));
  const GateRun run = Choose({GetParam(), nullptr}, c);
  EXPECT_EQ(run.experts, (std::vector<int32_t>{3, 1}));
  const double s1 = 1 / (1 + std::exp(-1.0)), s3 = 1 / (1 + std::exp(-3.0));
  EXPECT_NEAR(run.weights[0], s1 / (s1 + s3) * 2.827, 1e-6);
  EXPECT_NEAR(run.weights[1], s3 / (s1 + s3) * 2.827, 1e-6);
}

TEST_P(GatePerIsa, TiesGoToTheLowerIndexAndMaskedExpertsAreStillDistinct) {
  GateCase c{TestMatrix(DType::kF32, 1, 8), std::vector<float>(8, 0), {}, {.groups = 2, .groups_kept = 1, .experts_per_token = 8}};
  for (int e = 0; e < 8; ++e) c.logits.Set(0, e, 0);
  EXPECT_EQ(Choose({GetParam(), nullptr}, c).experts, (std::vector<int32_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  for (int e = 4; e < 8; ++e) c.logits.Set(0, e, 1);   // the second group wins, the first is masked
  EXPECT_EQ(Choose({GetParam(), nullptr}, c).experts, (std::vector<int32_t>{4, 5, 6, 7, 0, 1, 2, 3}));
}

TEST_P(GatePerIsa, NegativeBiasIsNotBeatenByMaskedExperts) {   // masking with 0 instead of -infinity fails here
  GateCase c{TestMatrix(DType::kF32, 1, 4), {-5, -5, -9, -9}, {}, {.groups = 2, .groups_kept = 1, .experts_per_token = 2}};
  for (int e = 0; e < 4; ++e) c.logits.Set(0, e, 0);
  EXPECT_EQ(Choose({GetParam(), nullptr}, c).experts, (std::vector<int32_t>{0, 1}));
}

TEST_P(GatePerIsa, UnderflowedScoresDoNotDivideByZero) {
  GateCase c{TestMatrix(DType::kF32, 1, 4), {12, 12, 0, 0}, {}, {.experts_per_token = 2}};
  for (int e = 0; e < 4; ++e) c.logits.Set(0, e, -200);
  for (float w : Choose({GetParam(), nullptr}, c).weights) EXPECT_EQ(w, 0.0f);
}

TEST_P(GatePerIsa, NonFiniteRowsAreFlaggedAndNeighboursAreNot) {
  for (float bad : {NAN, INFINITY, -INFINITY}) {
    std::mt19937 random(6);
    GateCase c{TestMatrix(DType::kF32, 3, 33), NormalVector(random, 33), {}, {.experts_per_token = 4}};
    c.logits.FillNormal(random);
    const GateRun good = Choose({GetParam(), nullptr}, c);
    c.logits.Set(1, 32, bad);
    const GateRun run = Choose({GetParam(), nullptr}, c);
    EXPECT_EQ(run.non_finite, (std::vector<uint8_t>{0, 1, 0}));
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(run.experts[4 + i], i);
      EXPECT_EQ(run.weights[4 + i], 0.0f);
      EXPECT_EQ(run.experts[i], good.experts[i]);
      EXPECT_EQ(run.experts[8 + i], good.experts[8 + i]);
    }
  }
}

TEST(GateTopK, RefusesShapesThatDoNotFit) {
  GateCase c{TestMatrix(DType::kF32, 1, 10), std::vector<float>(10), {}, {}};
  std::vector<int32_t> experts(2);
  std::vector<float> weights(2);
  std::vector<uint8_t> flags(1);
  for (const GateParams& params : {GateParams{.groups = 3, .experts_per_token = 2}, GateParams{.groups = 2, .groups_kept = 3, .experts_per_token = 2},
                                   GateParams{.experts_per_token = 11}, GateParams{.experts_per_token = 0}, GateParams{.experts_per_token = 3}}) {
    EXPECT_EQ(GateTopK({}, {.logits = c.logits.view(), .bias = c.bias, .params = params, .experts = experts, .weights = weights, .non_finite = flags}).code,
              KernelErrorCode::kInvalidShape);
  }
}

}  // namespace
}  // namespace atoll::kernels::testing
