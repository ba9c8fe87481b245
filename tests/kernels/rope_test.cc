#include <gtest/gtest.h>

#include <cmath>

#include "kernels/mla/page_layout.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/rope/rope.h"
#include "op_testing.h"

namespace atoll::kernels::testing {
namespace {

RopeParams V3Params() {
  return {.theta = 10000, .dim = 64, .positions_max = 163840, .yarn = true,
          .yarn_params = {.factor = 40, .original_positions = 4096, .beta_fast = 32, .beta_slow = 1, .mscale = 1, .mscale_all_dim = 1}};
}

RopeTable TableOf(const RopeParams& params) {
  RopeTable table;
  const KernelError error = RopeTable::Make(params, &table);
  EXPECT_TRUE(error.ok()) << error.text;
  return table;
}

// Check 2 of the specification.
TEST(Yarn, FrequenciesOfTheSpecification) {
  const std::vector<double> f = RopeFrequencies(V3Params());
  const std::pair<int, double> known[] = {{0, 1.0}, {1, 0.7498942093324559}, {10, 0.05623413251903491}, {11, 0.03900692656714386}, {16, 0.0055},
                                          {20, 0.0007905694150420946}, {22, 0.0001778279410038922}, {23, 3.33380358040831e-05}, {31, 3.33380358040831e-06}};
  ASSERT_EQ(f.size(), 32u);
  for (auto [i, value] : known) EXPECT_NEAR(f[i] / value, 1.0, 1e-13) << i;
  for (int i = 0; i <= 10; ++i) EXPECT_NEAR(f[i], std::pow(10000.0, -2.0 * i / 64), 1e-15);
  for (int i = 23; i < 32; ++i) EXPECT_NEAR(f[i] * 40 / std::pow(10000.0, -2.0 * i / 64), 1.0, 1e-13);
  EXPECT_EQ(TableOf(V3Params()).frequencies()[11], static_cast<float>(f[11]));
}

TEST(Yarn, EqualCorrectionBoundsDoNotDivideByZero) {   // Kimi-K2 has beta_fast == beta_slow; force low == high
  RopeParams params = V3Params();
  params.yarn_params.original_positions = 2 * M_PI;   // corr(1) = 0
  params.yarn_params.beta_fast = 1;
  for (double f : RopeFrequencies(params)) EXPECT_TRUE(std::isfinite(f));
}

// Check 2 of the specification.
TEST(Yarn, ScalesOfTheSpecification) {
  RopeParams params = V3Params();
  EXPECT_FLOAT_EQ(SoftmaxScale(192, params), 0.1352337788608801f);
  EXPECT_EQ(TableOf(params).magnitude(), 1.0f);
  params.yarn_params.factor = 32;   // Kimi-K2
  EXPECT_FLOAT_EQ(SoftmaxScale(192, params), 0.1308607999629500f);
  params.yarn_params.factor = 64;   // K2.5
  EXPECT_FLOAT_EQ(SoftmaxScale(192, params), 0.1446796256f);
  params.yarn_params.factor = 40;   // V2-Lite
  params.yarn_params.mscale = params.yarn_params.mscale_all_dim = 0.707;
  EXPECT_FLOAT_EQ(SoftmaxScale(192, params), 0.1147213868f);
  params.yarn_params.mscale_all_dim = 0;
  EXPECT_FLOAT_EQ(SoftmaxScale(192, params), 0.0721687836f);
  EXPECT_FLOAT_EQ(TableOf(params).magnitude(), 1.3688879454113936f);
  params.yarn = false;
  EXPECT_FLOAT_EQ(SoftmaxScale(192, params), 0.0721687836f);
  EXPECT_EQ(TableOf(params).magnitude(), 1.0f);
}

TEST(RopeTable, RefusesBadParameters) {
  RopeTable table;
  RopeParams params = V3Params();
  params.dim = 63;
  EXPECT_EQ(RopeTable::Make(params, &table).code, KernelErrorCode::kInvalidShape);
  params = V3Params();
  params.positions_max = 1 << 20;
  EXPECT_EQ(RopeTable::Make(params, &table).code, KernelErrorCode::kInvalidShape);
  params = V3Params();
  params.theta = NAN;
  EXPECT_EQ(RopeTable::Make(params, &table).code, KernelErrorCode::kInvalidValue);
  params = V3Params();
  params.yarn_params.factor = -1;
  EXPECT_EQ(RopeTable::Make(params, &table).code, KernelErrorCode::kInvalidValue);
}

struct QueryOutputs {
  QueryOutputs(DType dtype, int64_t rows, int64_t nope, int64_t rope) : q_nope(dtype, rows, nope), q_rope(dtype, rows, rope) {}
  TestMatrix q_nope, q_rope;
};

KernelError Rotate(const Context& context, const RopeTable& table, TestMatrix& q, const std::vector<int32_t>& positions, int64_t heads, QueryOutputs& out) {
  return RotateQueries(context, table, {.q = q.view(), .positions = positions, .heads = heads, .nope_dim = out.q_nope.view().cols / heads,
                                        .q_nope = out.q_nope.view(), .q_rope = out.q_rope.view()});
}

TEST(RotateQueries, IsTheComplexProduct) {
  for (bool interleaved : {true, false}) {
    RopeParams params = V3Params();
    params.dim = 8;
    params.interleaved = interleaved;
    const RopeTable table = TableOf(params);
    std::mt19937 random(1);
    TestMatrix q(DType::kF32, 1, 2 * (3 + 8));
    q.FillNormal(random);
    QueryOutputs out(DType::kF32, 1, 2 * 3, 2 * 8);
    const int32_t position = 100;
    ASSERT_TRUE(Rotate({}, table, q, {position}, 2, out).ok());
    for (int head = 0; head < 2; ++head) {
      for (int i = 0; i < 3; ++i) EXPECT_EQ(out.q_nope.Get(0, head * 3 + i), q.Get(0, head * 11 + i));
      for (int i = 0; i < 4; ++i) {
        const int first = interleaved ? 2 * i : i, second = interleaved ? 2 * i + 1 : i + 4;
        const double angle = static_cast<float>(position) * table.frequencies()[i];
        const double a = q.Get(0, head * 11 + 3 + first), b = q.Get(0, head * 11 + 3 + second);
        EXPECT_NEAR(out.q_rope.Get(0, head * 8 + first), a * std::cos(angle) - b * std::sin(angle), 1e-5);
        EXPECT_NEAR(out.q_rope.Get(0, head * 8 + second), a * std::sin(angle) + b * std::cos(angle), 1e-5);
      }
    }
  }
}

class RopePerIsa : public ::testing::TestWithParam<Isa> {};
INSTANTIATE_TEST_SUITE_P(Host, RopePerIsa, ::testing::ValuesIn(HostIsas()), [](const auto& info) { return std::string(IsaName(info.param)); });

TEST_P(RopePerIsa, RotateQueriesEqualsTheReference) {
  ComputePool pool({.threads = 2});
  for (int64_t dim : {2, 16, 18, 34, 64, 128}) {
    for (bool interleaved : {true, false}) {
      for (DType dtype : {DType::kBF16, DType::kF32}) {
        RopeParams params = V3Params();
        params.dim = dim;
        params.interleaved = interleaved;
        params.yarn_params.mscale_all_dim = 0;   // a magnitude other than 1
        const RopeTable table = TableOf(params);
        const int64_t heads = 3, nope = 19;
        std::mt19937 random(2);
        TestMatrix q(DType::kF32, 5, heads * (nope + dim));
        q.FillNormal(random);
        const std::vector<int32_t> positions = {0, 1, 63, 163839, 77777};
        QueryOutputs want(dtype, 5, heads * nope, heads * dim), got(dtype, 5, heads * nope, heads * dim);
        ASSERT_TRUE(Rotate({}, table, q, positions, heads, want).ok());
        ASSERT_TRUE(Rotate({GetParam(), &pool}, table, q, positions, heads, got).ok());
        EXPECT_EQ(want.q_nope.bytes(), got.q_nope.bytes()) << dim;
        EXPECT_EQ(want.q_rope.bytes(), got.q_rope.bytes()) << dim;
        EXPECT_TRUE(got.q_rope.PadsUntouched() && got.q_nope.PadsUntouched());
      }
    }
  }
}

TEST_P(RopePerIsa, WriteKeysEqualsNormAndRotation) {
  const RopeTable table = TableOf(V3Params());
  for (DType dtype : {DType::kBF16, DType::kF32}) {
    const PageLayout layout = {.layers = 2, .latent_dim = 70, .rope_dim = 64, .dtype = dtype};
    std::vector<std::byte> page(layout.PageBytes(), std::byte{0xFF});
    std::byte* pages[] = {page.data(), page.data()};
    std::mt19937 random(3);
    TestMatrix kv(DType::kF32, 3, 134), norm(dtype, 3, 70, 0);
    kv.FillNormal(random, 5);
    const std::vector<float> weight = NormalVector(random, 70);
    const std::vector<int32_t> positions = {3, 64, 127};
    std::vector<std::byte*> rows;
    for (int32_t position : positions) rows.push_back(KeyRow(layout, pages, 1, position));
    ASSERT_TRUE(WriteKeys({GetParam(), nullptr}, table, {.kv_a = kv.view(), .positions = positions, .latent_weight = weight, .latent_eps = 1e-6f, .dtype = dtype, .key_rows = rows}).ok());
    MatrixView latent = kv.view();
    latent.cols = 70;
    ASSERT_TRUE(RmsNorm({}, latent, weight, 1e-6f, norm.view()).ok());
    TestMatrix rope_in(DType::kF32, 3, 64);
    for (int r = 0; r < 3; ++r) for (int i = 0; i < 64; ++i) rope_in.Set(r, i, kv.Get(r, 70 + i));
    QueryOutputs rotated(dtype, 3, 0, 64);
    ASSERT_TRUE(RotateQueries({}, table, {.q = rope_in.view(), .positions = positions, .heads = 1, .nope_dim = 0, .q_nope = rotated.q_nope.view(), .q_rope = rotated.q_rope.view()}).ok());
    for (int r = 0; r < 3; ++r) {
      EXPECT_EQ(0, std::memcmp(rows[r], norm.view().Row(r), 70 * DTypeBytes(dtype)));
      EXPECT_EQ(0, std::memcmp(rows[r] + 70 * DTypeBytes(dtype), rotated.q_rope.view().Row(r), 64 * DTypeBytes(dtype)));
    }
    EXPECT_EQ(page[layout.LayerOffset(1) - 1], std::byte{0xFF});
    EXPECT_EQ(KeyRow(layout, pages, 1, 4)[0], std::byte{0xFF});
  }
}

TEST(RotateQueries, RefusesPositionsBeyondTheTable) {
  RopeParams params = V3Params();
  params.positions_max = 10;
  const RopeTable table = TableOf(params);
  TestMatrix q(DType::kF32, 1, 64 + 4);
  QueryOutputs out(DType::kF32, 1, 4, 64);
  EXPECT_EQ(Rotate({}, table, q, {10}, 1, out).code, KernelErrorCode::kInvalidValue);
  EXPECT_EQ(Rotate({}, table, q, {-1}, 1, out).code, KernelErrorCode::kInvalidValue);
}

}  // namespace
}  // namespace atoll::kernels::testing
