#include "model/files/finite.h"

#include <cstring>

namespace atoll::model {
namespace {

// Per lane: (bits & exponent) + step carries into the lane's top bit, masked out before, exactly when all exponent bits
// are set. For e4m3 the "exponent" is exponent and mantissa: only all ones is NaN.
struct LaneTest {
  uint64_t exponent;
  uint64_t step;
  uint64_t top;
};

LaneTest TestOf(DType dtype) {
  switch (dtype) {
    case DType::kBF16: return {0x7F807F807F807F80u, 0x0080008000800080u, 0x8000800080008000u};
    case DType::kF32: return {0x7F8000007F800000u, 0x0080000000800000u, 0x8000000080000000u};
    case DType::kF8E4M3: return {0x7F7F7F7F7F7F7F7Fu, 0x0101010101010101u, 0x8080808080808080u};
    case DType::kF8E8M0:
    case DType::kI32: break;
  }
  return {0, 0, 0};
}

uint64_t Load(const std::byte* at, size_t bytes) {
  uint64_t word = 0;
  std::memcpy(&word, at, bytes);
  return word;
}

}  // namespace

int64_t FindNonFinite(DType dtype, std::span<const std::byte> elements) {
  const LaneTest test = TestOf(dtype);
  const auto hits = [&](uint64_t word) { return ((word & test.exponent) + test.step) & test.top; };
  constexpr size_t kStride = 64;
  size_t at = 0;
  for (; at + kStride <= elements.size(); at += kStride) {
    uint64_t any = 0;
    for (size_t i = 0; i < kStride; i += 8) any |= hits(Load(elements.data() + at + i, 8));
    if (any != 0) break;
  }
  for (; at < elements.size(); at += 8) {
    const size_t bytes = elements.size() - at < 8 ? elements.size() - at : 8;
    const uint64_t found = hits(Load(elements.data() + at, bytes));
    if (found != 0) return static_cast<int64_t>(at + __builtin_ctzll(found) / 8) / DTypeBytes(dtype);
  }
  return -1;
}

}  // namespace atoll::model
