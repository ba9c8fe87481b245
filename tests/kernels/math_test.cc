#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "math_arrays.h"
#include "op_testing.h"

namespace atoll::kernels::testing {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

using Function = void (*)(const float*, int64_t, float*);

std::vector<const MathArrays*> VectorArrays() {
  std::vector<const MathArrays*> arrays;
  if (HostSupports(Isa::kAvx2)) arrays.push_back(&kAvx2Arrays);
  if (HostSupports(Isa::kAvx512)) arrays.push_back(&kAvx512Arrays);
  return arrays;
}

std::vector<float> Spread(float low, float high, int64_t count) {
  std::vector<float> x(count);
  for (int64_t i = 0; i < count; ++i) x[i] = low + (high - low) * (static_cast<float>(i) / static_cast<float>(count));
  return x;
}

// Numbers of every exponent and sign, specials at the end.
std::vector<float> AllKinds() {
  std::mt19937 random(7);
  std::vector<float> x(64 * 1024);
  for (float& v : x) v = std::bit_cast<float>(static_cast<uint32_t>(random()));
  const float specials[] = {0.0f, -0.0f, 1.0f, -1.0f, kInf, -kInf, kNan, 1e-40f, -1e-40f, 1.17549435e-38f, 88.7f, 88.8f, -87.3f, -87.4f, -103.9f, 3.4e38f};
  std::copy(std::begin(specials), std::end(specials), x.end() - 16);
  return x;
}

// The largest error in units of the last place of the exact value (of the smallest normal number below it).
double WorstUlp(Function function, double (*exact)(double), const std::vector<float>& x) {
  FlushDenormals flush;
  std::vector<float> y(x.size());
  function(x.data(), static_cast<int64_t>(x.size()), y.data());
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double want = exact(x[i]);
    const float magnitude = std::max(std::fabs(static_cast<float>(want)), 1.17549435e-38f);
    const double ulp = static_cast<double>(std::nextafter(magnitude, kInf)) - magnitude;
    worst = std::max(worst, std::fabs(y[i] - want) / ulp);
  }
  return worst;
}

TEST(FloatFunctions, StayWithinTwoUlp) {
  EXPECT_LE(WorstUlp(kScalarArrays.exp, std::exp, Spread(-87.0f, 88.7f, 400000)), 2.0);
  EXPECT_LE(WorstUlp(kScalarArrays.exp, std::exp, Spread(-1.0f, 1.0f, 400000)), 2.0);
  EXPECT_LE(WorstUlp(kScalarArrays.log, std::log, Spread(1e-3f, 4.0f, 400000)), 2.0);
  EXPECT_LE(WorstUlp(kScalarArrays.log, std::log, Spread(1.0f, 3e38f, 400000)), 2.0);
  EXPECT_LE(WorstUlp(kScalarArrays.log1p, std::log1p, Spread(-0.999f, -1e-9f, 400000)), 2.0);
  EXPECT_LE(WorstUlp(kScalarArrays.sine, std::sin, Spread(-200000.0f, 200000.0f, 400000)), 2.0);
  EXPECT_LE(WorstUlp(kScalarArrays.cosine, std::cos, Spread(-200000.0f, 200000.0f, 400000)), 2.0);
  EXPECT_LE(WorstUlp(kScalarArrays.sine, std::sin, Spread(-7.0f, 7.0f, 400000)), 2.0);
  EXPECT_LE(WorstUlp(kScalarArrays.cosine, std::cos, Spread(-7.0f, 7.0f, 400000)), 2.0);
}

TEST(FloatFunctions, WholeNumbersOfRadians) {   // the positions of a rotary pair of frequency 1
  std::vector<float> x(200000);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  EXPECT_LE(WorstUlp(kScalarArrays.sine, std::sin, x), 2.0);
  EXPECT_LE(WorstUlp(kScalarArrays.cosine, std::cos, x), 2.0);
}

TEST(FloatFunctions, Specials) {
  FlushDenormals flush;
  const float x[] = {kInf, -kInf, kNan, 0.0f, 89.0f, -88.0f, 1.0f, -1.0f};
  float e[8], l[8];
  kScalarArrays.exp(x, 8, e);
  kScalarArrays.log(x, 8, l);
  EXPECT_EQ(e[0], kInf);
  EXPECT_EQ(e[1], 0.0f);
  EXPECT_TRUE(std::isnan(e[2]));
  EXPECT_EQ(e[3], 1.0f);
  EXPECT_EQ(e[4], kInf);
  EXPECT_EQ(e[5], 0.0f);
  EXPECT_EQ(l[0], kInf);
  EXPECT_TRUE(std::isnan(l[1]) && std::isnan(l[2]) && std::isnan(l[7]));
  EXPECT_EQ(l[3], -kInf);
  EXPECT_EQ(l[6], 0.0f);
}

void ExpectSameBits(Function scalar, Function vector, std::vector<float> x) {
  FlushDenormals flush;
  std::vector<float> want(x.size()), got(x.size());
  scalar(x.data(), static_cast<int64_t>(x.size()), want.data());
  vector(x.data(), static_cast<int64_t>(x.size()), got.data());
  for (size_t i = 0; i < x.size(); ++i) {
    if (std::isnan(want[i]) && std::isnan(got[i])) continue;
    ASSERT_EQ(std::bit_cast<uint32_t>(want[i]), std::bit_cast<uint32_t>(got[i])) << x[i];
  }
}

TEST(FloatFunctions, VectorsAgreeWithScalarInEveryBit) {
  for (const MathArrays* vector : VectorArrays()) {
    ExpectSameBits(kScalarArrays.exp, vector->exp, AllKinds());
    ExpectSameBits(kScalarArrays.exp, vector->exp, Spread(-104.0f, 89.0f, 1 << 18));
    ExpectSameBits(kScalarArrays.log, vector->log, AllKinds());
    ExpectSameBits(kScalarArrays.log, vector->log, Spread(0.0f, 4.0f, 1 << 18));
    ExpectSameBits(kScalarArrays.log1p, vector->log1p, Spread(-1.0f, 1.0f, 1 << 18));
    ExpectSameBits(kScalarArrays.sine, vector->sine, Spread(-260000.0f, 260000.0f, 1 << 18));
    ExpectSameBits(kScalarArrays.cosine, vector->cosine, Spread(-260000.0f, 260000.0f, 1 << 18));
  }
}

TEST(Lanes, RoundingEqualsBaseDtype) {
  FlushDenormals flush;
  const std::vector<float> x = AllKinds();
  for (const MathArrays* vector : VectorArrays()) {
    std::vector<uint16_t> got(x.size());
    vector->round_bf16(x.data(), static_cast<int64_t>(x.size()), got.data());
    for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(got[i], ToBFloat16(x[i]).bits) << x[i];
  }
}

TEST(Lanes, TransposeSwapsRowsAndLanes) {
  std::mt19937 random(4);
  const std::vector<float> x = NormalVector(random, 256);
  for (const MathArrays* vector : VectorArrays()) {
    std::vector<float> y(256);
    vector->transpose(x.data(), y.data());
    for (int i = 0; i < 256; ++i) EXPECT_EQ(y[i], x[i % 16 * 16 + i / 16]);
  }
}

TEST(Lanes, SumTreeAndPairs) {
  std::mt19937 random(3);
  const std::vector<float> x = NormalVector(random, 32);
  std::vector<float> tree(x.begin(), x.begin() + 16);
  for (int half = 8; half >= 1; half /= 2) {
    for (int lane = 0; lane < half; ++lane) tree[lane] += tree[lane + half];
  }
  for (const MathArrays* vector : VectorArrays()) {
    EXPECT_EQ(vector->sum_tree(x.data()), tree[0]);
    std::vector<float> even(16), odd(16), together(32);
    vector->zip_unzip(x.data(), even.data(), odd.data(), together.data());
    EXPECT_EQ(together, x);
    for (int i = 0; i < 16; ++i) EXPECT_TRUE(even[i] == x[2 * i] && odd[i] == x[2 * i + 1]);
  }
}

}  // namespace
}  // namespace atoll::kernels::testing
