// SwiGlu, RmsNorm, Combine, Embedding: every instruction set equals the reference in every byte, pads included.

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/combine/combine.h"
#include "kernels/embedding/embedding.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/swiglu/swiglu.h"
#include "op_testing.h"

namespace atoll::kernels::testing {
namespace {

struct Shape {
  int64_t rows, width;
};
const Shape kShapes[] = {{0, 5}, {1, 0}, {1, 1}, {1, 15}, {2, 16}, {3, 17}, {5, 33}, {2, 128}, {1, 7168}, {70, 511}};
constexpr DType kOutTypes[] = {DType::kBF16, DType::kF32};

class PerIsa : public ::testing::TestWithParam<Isa> {
 protected:
  PerIsa() : pool_({.threads = 3}) {}
  Context Fast() { return {GetParam(), &pool_}; }
  static Context Reference() { return {Isa::kReference, nullptr}; }
  ComputePool pool_;
};

INSTANTIATE_TEST_SUITE_P(Host, PerIsa, ::testing::ValuesIn(HostIsas()), [](const auto& info) { return std::string(IsaName(info.param)); });

TEST_P(PerIsa, SwiGlu) {
  std::mt19937 random(1);
  for (const Shape& s : kShapes) {
    for (DType out : kOutTypes) {
      TestMatrix gate(DType::kF32, s.rows, s.width), up(DType::kF32, s.rows, s.width);
      gate.FillNormal(random, 20);
      up.FillNormal(random, 20);
      TestMatrix want(out, s.rows, s.width), got(out, s.rows, s.width);
      ASSERT_TRUE(SwiGlu(Reference(), gate.view(), up.view(), want.view()).ok());
      ASSERT_TRUE(SwiGlu(Fast(), gate.view(), up.view(), got.view()).ok());
      EXPECT_EQ(want.bytes(), got.bytes()) << s.rows << " x " << s.width;
      EXPECT_TRUE(got.PadsUntouched());
    }
  }
}

TEST(SwiGlu, IsSiluTimesUp) {
  TestMatrix gate(DType::kF32, 1, 3), up(DType::kF32, 1, 3), out(DType::kF32, 1, 3);
  const float z[] = {-100.0f, 0.5f, 30.0f};
  for (int i = 0; i < 3; ++i) gate.Set(0, i, z[i]), up.Set(0, i, 2);
  ASSERT_TRUE(SwiGlu({}, gate.view(), up.view(), out.view()).ok());
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(out.Get(0, i), 2 * z[i] / (1 + std::exp(-double{z[i]})), 1e-5);
}

TEST_P(PerIsa, RmsNorm) {
  std::mt19937 random(2);
  for (const Shape& s : kShapes) {
    for (DType out : kOutTypes) {
      TestMatrix x(DType::kF32, s.rows, s.width);
      x.FillNormal(random, 3);
      const std::vector<float> weight = NormalVector(random, s.width);
      TestMatrix want(out, s.rows, s.width), got(out, s.rows, s.width);
      ASSERT_TRUE(RmsNorm(Reference(), x.view(), weight, 1e-6f, want.view()).ok());
      ASSERT_TRUE(RmsNorm(Fast(), x.view(), weight, 1e-6f, got.view()).ok());
      EXPECT_EQ(want.bytes(), got.bytes()) << s.rows << " x " << s.width;
      EXPECT_TRUE(got.PadsUntouched());
    }
  }
}

TEST(RmsNorm, FollowsTheFormula) {
  std::mt19937 random(3);
  TestMatrix x(DType::kF32, 1, 100), out(DType::kF32, 1, 100);
  x.FillNormal(random);
  const std::vector<float> weight = NormalVector(random, 100);
  ASSERT_TRUE(RmsNorm({}, x.view(), weight, 0.5f, out.view()).ok());
  double sum = 0;
  for (int i = 0; i < 100; ++i) sum += double{x.Get(0, i)} * x.Get(0, i);
  for (int i = 0; i < 100; ++i) EXPECT_NEAR(out.Get(0, i), x.Get(0, i) / std::sqrt(sum / 100 + 0.5) * weight[i], 1e-5);
}

struct CombineCase {
  CombineCase(std::mt19937& random, DType dtype, const Shape& s, int64_t slots)
      : expert(dtype, s.rows * slots, s.width), shared(DType::kF32, s.rows, s.width), weights(NormalVector(random, s.rows * slots)) {
    expert.FillNormal(random);
    shared.FillNormal(random);
    for (int64_t i = s.rows * slots - 1; i >= 0; --i) pointers.push_back(expert.view().Row(i));
  }
  TestMatrix expert, shared;
  std::vector<float> weights;
  std::vector<const void*> pointers;
};

std::vector<uint8_t> RunCombine(const Context& context, CombineCase& c, MatrixView residual, bool with_shared) {
  std::vector<uint8_t> flags(residual.rows, 9);
  const int64_t slots = residual.rows == 0 ? 0 : static_cast<int64_t>(c.pointers.size()) / residual.rows;
  const KernelError error = Combine(context, {.slots = slots, .expert_rows = c.pointers, .expert_dtype = c.expert.view().dtype, .weights = c.weights,
                                              .shared = with_shared ? ConstMatrixView(c.shared.view()) : ConstMatrixView(),
                                              .residual = residual, .non_finite = flags});
  EXPECT_TRUE(error.ok()) << error.text;
  return flags;
}

TEST_P(PerIsa, Combine) {
  for (const Shape& s : kShapes) {
    for (DType dtype : kOutTypes) {
      for (bool with_shared : {false, true}) {
        std::mt19937 random(4);
        CombineCase c(random, dtype, s, 4);
        if (s.rows > 1 && s.width > 0) c.expert.Set(1, s.width - 1, dtype == DType::kF32 ? NAN : INFINITY);
        TestMatrix want(DType::kF32, s.rows, s.width), got(DType::kF32, s.rows, s.width);
        std::mt19937 again(5), same(5);
        want.FillNormal(again);
        got.FillNormal(same);
        const std::vector<uint8_t> want_flags = RunCombine(Reference(), c, want.view(), with_shared);
        EXPECT_EQ(want_flags, RunCombine(Fast(), c, got.view(), with_shared));
        EXPECT_EQ(std::count(want_flags.begin(), want_flags.end(), 1), s.rows > 1 && s.width > 0 ? 1 : 0);
        EXPECT_TRUE(got.PadsUntouched());
        for (int64_t row = 0; row < s.rows; ++row) {
          if (want_flags[row] == 1) continue;   // NaN bits may differ
          EXPECT_EQ(0, std::memcmp(want.view().Row(row), got.view().Row(row), s.width * 4)) << row;
        }
      }
    }
  }
}

TEST(Combine, SlotsThenSharedThenResidual) {
  const float one = 1.0f, big = 16777216.0f, minus = -16777216.0f;   // 2^24: adding 1 is lost
  const std::vector<const void*> rows = {&big, &one, &minus};
  const std::vector<float> weights = {1, 1, 1};
  float shared = 3, residual = 0.5f;
  std::vector<uint8_t> flags(1);
  ASSERT_TRUE(Combine({}, {.slots = 3, .expert_rows = rows, .expert_dtype = DType::kF32, .weights = weights,
                           .shared = {&shared, DType::kF32, 1, 1, 1}, .residual = {&residual, DType::kF32, 1, 1, 1}, .non_finite = flags}).ok());
  EXPECT_EQ(residual, 3.5f);
}

TEST(Combine, RefusesAMissingRow) {
  const std::vector<const void*> rows = {nullptr};
  const std::vector<float> weights = {1};
  float residual = 0;
  std::vector<uint8_t> flags(1);
  const KernelError error = Combine({}, {.slots = 1, .expert_rows = rows, .weights = weights, .residual = {&residual, DType::kF32, 1, 1, 1}, .non_finite = flags});
  EXPECT_EQ(error.code, KernelErrorCode::kInvalidValue);
}

TEST(Embedding, CopiesRowsAndRefusesStrangers) {
  std::mt19937 random(6);
  for (DType dtype : kOutTypes) {
    TestMatrix table(dtype, 10, 33), out(DType::kF32, 3, 33);
    table.FillNormal(random);
    const std::vector<int32_t> tokens = {9, 0, 9};
    ASSERT_TRUE(Embedding({}, table.view(), tokens, out.view()).ok());
    for (int64_t row = 0; row < 3; ++row) {
      for (int64_t col = 0; col < 33; ++col) EXPECT_EQ(out.Get(row, col), table.Get(tokens[row], col));
    }
    EXPECT_TRUE(out.PadsUntouched());
    for (int32_t bad : {-1, 10}) {
      const KernelError error = Embedding({}, table.view(), std::vector<int32_t>{0, bad, 0}, out.view());
      EXPECT_EQ(error.code, KernelErrorCode::kInvalidValue);
    }
  }
}

TEST(ElementwiseOps, RefuseShapesThatDoNotFit) {
  TestMatrix a(DType::kF32, 2, 4), b(DType::kF32, 2, 5), c(DType::kBF16, 2, 4);
  EXPECT_EQ(SwiGlu({}, a.view(), b.view(), a.view()).code, KernelErrorCode::kInvalidShape);
  EXPECT_EQ(SwiGlu({}, a.view(), c.view(), a.view()).code, KernelErrorCode::kUnsupported);
  EXPECT_EQ(RmsNorm({}, a.view(), std::vector<float>(3), 1e-6f, c.view()).code, KernelErrorCode::kInvalidShape);
  EXPECT_NE(RmsNorm({}, a.view(), std::vector<float>(3), 1e-6f, c.view()).text.find("expected 4"), std::string::npos);
}

}  // namespace
}  // namespace atoll::kernels::testing
