#include "model/files/finite.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace atoll::model {
namespace {

bool IsFinite(DType dtype, uint32_t bits) {
  if (dtype == DType::kF8E4M3) return std::isfinite(E4M3ToFloat(static_cast<uint8_t>(bits)));
  if (dtype == DType::kBF16) return std::isfinite(ToFloat(BFloat16{static_cast<uint16_t>(bits)}));
  return std::isfinite(std::bit_cast<float>(bits));
}

// `bits` at `at` among `count` ordinary elements.
void ExpectFound(DType dtype, uint32_t bits, size_t at, size_t count) {
  const auto size = static_cast<size_t>(DTypeBytes(dtype));
  std::vector<std::byte> data(count * size, std::byte{0x3A});
  std::memcpy(data.data() + at * size, &bits, size);
  EXPECT_EQ(FindNonFinite(dtype, data), IsFinite(dtype, bits) ? -1 : static_cast<int64_t>(at))
      << DTypeName(dtype) << " " << bits << " at " << at;
}

TEST(FindNonFinite, EveryCodeOfTheSmallTypes) {
  for (uint32_t bits = 0; bits < 256; ++bits) ExpectFound(DType::kF8E4M3, bits, bits % 13, 13);
  for (uint32_t bits = 0; bits < 65536; ++bits) ExpectFound(DType::kBF16, bits, bits % 5, 5);
}

TEST(FindNonFinite, EdgesOfFloat32) {
  for (uint32_t bits : {0u, 0x7F7FFFFFu, 0x7F800000u, 0x7F800001u, 0x7FFFFFFFu, 0xFF7FFFFFu, 0xFF800000u, 0xFFFFFFFFu,
                        0x80000000u, 0x00800000u}) {
    for (size_t at = 0; at < 3; ++at) ExpectFound(DType::kF32, bits, at, 3);
  }
}

TEST(FindNonFinite, EveryPlaceAroundTheStride) {
  for (size_t count : {1, 7, 8, 9, 63, 64, 65, 130}) {
    for (size_t at = 0; at < count; ++at) {
      ExpectFound(DType::kF8E4M3, 0x7F, at, count);
      ExpectFound(DType::kBF16, 0x7F80, at, count);
      ExpectFound(DType::kF32, 0x7FC00000, at, count);
    }
  }
}

TEST(FindNonFinite, TheFirstOneIsReported) {
  std::vector<std::byte> data(200, std::byte{0x7F});
  data[0] = std::byte{0};
  EXPECT_EQ(FindNonFinite(DType::kF8E4M3, data), 1);
  EXPECT_EQ(FindNonFinite(DType::kF8E4M3, {}), -1);
}

}  // namespace
}  // namespace atoll::model
