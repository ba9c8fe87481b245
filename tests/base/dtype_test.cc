#include "base/dtype.h"

#include <gtest/gtest.h>

#include <cmath>

namespace atoll {
namespace {

// Check 2 of the specification: sign, four bits of exponent with bias 7, three of mantissa, no infinities.
TEST(E4M3, EveryCodeIsWhatItsBitsSay) {
  for (int code = 0; code < 256; ++code) {
    const int exponent = (code >> 3) & 15, mantissa = code & 7;
    const double magnitude = exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
    const float value = E4M3ToFloat(static_cast<uint8_t>(code));
    if ((code & 0x7F) == 0x7F) EXPECT_TRUE(std::isnan(value)) << code;
    else EXPECT_EQ(value, code < 128 ? magnitude : -magnitude) << code;
  }
}

TEST(E4M3, KnownCodes) {
  EXPECT_EQ(E4M3ToFloat(0x38), 1.0f);
  EXPECT_EQ(E4M3ToFloat(0x7E), 448.0f);
  EXPECT_EQ(E4M3ToFloat(0x77), 240.0f);
  EXPECT_EQ(E4M3ToFloat(0x01), 0.001953125f);
  EXPECT_EQ(E4M3ToFloat(0x08), 0.015625f);
  EXPECT_TRUE(std::signbit(E4M3ToFloat(0x80)));
  EXPECT_TRUE(std::isnan(E4M3ToFloat(0x7F)) && std::isnan(E4M3ToFloat(0xFF)));
}

// Check 2 of the specification.
TEST(E4M3, EveryCodeRoundTrips) {
  for (int code = 0; code < 256; ++code) {
    if ((code & 0x7F) == 0x7F) continue;
    EXPECT_EQ(FloatToE4M3(E4M3ToFloat(static_cast<uint8_t>(code))), code);
  }
}

TEST(E4M3, MidpointsGoToTheEvenCode) {
  for (int code = 0; code < 0x7E; ++code) {
    const float midpoint = (E4M3ToFloat(static_cast<uint8_t>(code)) + E4M3ToFloat(static_cast<uint8_t>(code + 1))) / 2;
    EXPECT_EQ(FloatToE4M3(midpoint), code + (code & 1)) << code;
  }
}

TEST(BFloat16, RoundsToNearestEven) {
  EXPECT_EQ(ToBFloat16(1.0f).bits, 0x3F80);
  EXPECT_EQ(ToBFloat16(1.0f + 1.0f / 256).bits, 0x3F80);
  EXPECT_EQ(ToBFloat16(1.0f + 3.0f / 256).bits, 0x3F82);
  EXPECT_EQ(ToBFloat16(-1e-40f).bits, 0x8000);
}

TEST(E8M0, PowersOfTwo) {
  EXPECT_EQ(E8M0ToFloat(127), 1.0f);
  EXPECT_EQ(E8M0ToFloat(120), 0.0078125f);
  EXPECT_TRUE(std::isnan(E8M0ToFloat(255)));
}

}  // namespace
}  // namespace atoll
