#include "kernels/gate_topk/gate_topk_cuda.h"

#include "device_rig.h"

namespace atoll::kernels::testing {
namespace {

struct GateCase {
  GateCase(int64_t rows, int64_t experts, const GateParams& p) : logits(DType::kF32, rows, experts), params(p) {
    std::mt19937 random(static_cast<uint32_t>(experts));
    logits.FillNormal(random, 2);
    bias = NormalVector(random, experts, 0.1f);
    delta = NormalVector(random, experts, 0.01f);
  }
  TestMatrix logits;
  std::vector<float> bias, delta;
  GateParams params;
};

struct GateRun {
  GateRun(const GateCase& c, int64_t rows) : experts(rows * c.params.experts_per_token), weights(rows * c.params.experts_per_token), non_finite(rows, 7) {}
  std::vector<int32_t> experts;
  std::vector<float> weights;
  std::vector<uint8_t> non_finite;
};

GateRun OnCpu(GateCase& c, bool with_delta, TestMatrix& scores, TestMatrix& biased) {
  GateRun run(c, c.logits.view().rows);
  ATOLL_EXPECT_OK(GateTopK(Context{}, {.logits = c.logits.view(), .bias = c.bias, .delta = with_delta ? std::span<const float>(c.delta) : std::span<const float>(),
                                       .params = c.params, .experts = run.experts, .weights = run.weights, .non_finite = run.non_finite,
                                       .scores = scores.view(), .biased = biased.view()}));
  return run;
}

GateRun OnDevice(DeviceRig& rig, GateCase& c, bool with_delta, TestMatrix& scores, TestMatrix& biased) {
  const int64_t rows = c.logits.view().rows;
  GateRun run(c, rows);
  DeviceCopy logits(rig, c.logits), to_scores(rig, scores), to_biased(rig, biased);
  const auto experts = rig.Room<int32_t>(run.experts.size());
  const auto weights = rig.Room<float>(run.weights.size());
  const auto flags = rig.Room<uint8_t>(rows);
  ATOLL_EXPECT_OK(GateTopK(rig.stream(), {.logits = logits.view(), .bias = rig.Upload(c.bias), .delta = with_delta ? std::span<const float>(rig.Upload(c.delta)) : std::span<const float>(),
                                          .params = c.params, .experts = experts, .weights = weights, .non_finite = flags,
                                          .scores = to_scores.view(), .biased = to_biased.view()}));
  to_scores.Fetch();
  to_biased.Fetch();
  run.experts = rig.Download(experts), run.weights = rig.Download(weights), run.non_finite = rig.Download(flags);
  return run;
}

void ExpectTheReferencesBits(GateCase& c, bool with_delta) {
  const int64_t rows = c.logits.view().rows, experts = c.logits.view().cols;
  TestMatrix scores(DType::kF32, rows, experts), biased(DType::kF32, rows, experts);
  const GateRun expected = OnCpu(c, with_delta, scores, biased);
  UnderSchedules([&](DeviceRig& rig) {
    TestMatrix found_scores(DType::kF32, rows, experts), found_biased(DType::kF32, rows, experts);
    const GateRun found = OnDevice(rig, c, with_delta, found_scores, found_biased);
    EXPECT_EQ(found.experts, expected.experts);
    EXPECT_TRUE(SameBytes(found.weights, expected.weights));
    EXPECT_EQ(found.non_finite, expected.non_finite);
    EXPECT_TRUE(SameBytes(found_scores.bytes(), scores.bytes()));
    EXPECT_TRUE(SameBytes(found_biased.bytes(), biased.bytes()));
    return found.experts;
  });
}

TEST(GateOnADevice, ShapesOfTheFamilyHaveTheReferencesBits) {
  const std::pair<int64_t, GateParams> family[] = {
      {256, {.groups = 8, .groups_kept = 4, .experts_per_token = 8, .scaling = 2.5f}}, {64, {.groups = 1, .groups_kept = 1, .experts_per_token = 6}},
      {32, {.groups = 4, .groups_kept = 2, .experts_per_token = 4, .scaling = 2}},     {16, {.groups = 8, .groups_kept = 2, .experts_per_token = 2, .normalize = false}},
      {3, {.groups = 3, .groups_kept = 2, .experts_per_token = 2}},                    {1, {.experts_per_token = 1}},
      {384, {.groups = 1, .groups_kept = 1, .experts_per_token = 40}},                 {2048, {.groups = 64, .groups_kept = 3, .experts_per_token = 8}}};
  for (const auto& [experts, params] : family) {
    GateCase c(experts == 256 ? 65 : 4, experts, params);
    ExpectTheReferencesBits(c, true);
    ExpectTheReferencesBits(c, false);
  }
}

TEST(GateOnADevice, TiesGoToTheLowerIndex) {
  GateCase c(3, 64, {.groups = 8, .groups_kept = 3, .experts_per_token = 6});
  std::fill(c.bias.begin(), c.bias.end(), 0.0f);
  for (int64_t row = 0; row < 3; ++row) {
    for (int64_t e = 0; e < 64; ++e) c.logits.Set(row, e, static_cast<float>(e % (row + 2)));
  }
  ExpectTheReferencesBits(c, false);
}

TEST(GateOnADevice, ARowThatIsNotFiniteIsRefusedAlone) {
  GateCase c(4, 32, {.groups = 4, .groups_kept = 2, .experts_per_token = 4});
  c.logits.Set(1, 31, INFINITY);
  c.logits.Set(2, 0, NAN);
  ExpectTheReferencesBits(c, true);
}

TEST(GateOnADevice, FewerFiniteScoresThanSlots) {
  GateCase c(2, 32, {.groups = 8, .groups_kept = 1, .experts_per_token = 7});   // groups of 4: three slots come from masked experts
  ExpectTheReferencesBits(c, false);
}

}  // namespace
}  // namespace atoll::kernels::testing
