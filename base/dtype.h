#pragma once

// Element types of tensors and their conversions. Standard library only: kernels/ includes this file.

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace atoll {

enum class DType : uint8_t {
  kF32 = 1,
  kBF16 = 2,
  kF8E4M3 = 3,   // e4m3fn: no infinities, 0x7F and 0xFF are NaN, largest 448
  kF8E8M0 = 4,   // power-of-two scale: byte b means 2^(b-127), 0xFF is NaN
  kI32 = 5,
};

constexpr int64_t DTypeBytes(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kI32: return 4;
    case DType::kBF16: return 2;
    case DType::kF8E4M3:
    case DType::kF8E8M0: return 1;
  }
  return 0;
}

constexpr const char* DTypeName(DType dtype) {
  switch (dtype) {
    case DType::kF32: return "float32";
    case DType::kBF16: return "bfloat16";
    case DType::kF8E4M3: return "float8_e4m3";
    case DType::kF8E8M0: return "float8_e8m0";
    case DType::kI32: return "int32";
  }
  return "unknown";
}

// The bits of a bfloat16: the upper half of a float32.
struct BFloat16 {
  uint16_t bits = 0;
  friend constexpr bool operator==(BFloat16, BFloat16) = default;
};

constexpr float ToFloat(BFloat16 value) { return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16); }

// Rounds to nearest, ties to even; denormal results become zero (as with FTZ, so that every path agrees); NaN stays
// NaN (quiet).
constexpr BFloat16 ToBFloat16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return {static_cast<uint16_t>((bits >> 16) | 0x0040u)};
  if ((bits & 0x7F800000u) == 0) return {static_cast<uint16_t>((bits >> 16) & 0x8000u)};
  bits += 0x7FFFu + ((bits >> 16) & 1u);
  return {static_cast<uint16_t>(bits >> 16)};
}

// Value of an e4m3fn code; exact in float32 and in bfloat16.
constexpr float E4M3ToFloat(uint8_t code) {
  const int exponent = (code >> 3) & 15;
  const int mantissa = code & 7;
  if (exponent == 15 && mantissa == 7) return std::numeric_limits<float>::quiet_NaN();
  float magnitude = exponent == 0 ? static_cast<float>(mantissa) / 512.0f
                                  : std::bit_cast<float>(static_cast<uint32_t>(((exponent + 120) << 23) | (mantissa << 20)));
  return (code & 0x80) ? -magnitude : magnitude;
}

// Nearest e4m3fn code, ties to even, clamped to +-448; NaN becomes 0x7F.
inline uint8_t FloatToE4M3(float value) {
  if (std::isnan(value)) return 0x7F;
  const uint8_t sign = std::signbit(value) ? 0x80 : 0;
  const float magnitude = std::fabs(value);
  if (magnitude >= 448.0f) return sign | 0x7E;
  if (magnitude < 0.015625f) return sign | static_cast<uint8_t>(std::nearbyint(magnitude * 512.0f));  // 8 is the smallest normal
  uint32_t bits = std::bit_cast<uint32_t>(magnitude);
  bits += 0x7FFFFu + ((bits >> 20) & 1u);
  const uint32_t code = (bits >> 20) - (120u << 3);
  return sign | static_cast<uint8_t>(code > 0x7E ? 0x7E : code);
}

constexpr float E8M0ToFloat(uint8_t code) {
  if (code == 0xFF) return std::numeric_limits<float>::quiet_NaN();
  return code == 0 ? std::bit_cast<float>(0x00400000u) : std::bit_cast<float>(static_cast<uint32_t>(code) << 23);
}

}  // namespace atoll
