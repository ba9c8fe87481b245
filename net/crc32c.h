#pragma once

// CRC-32C (Castagnoli): tells a damaged header from a forged one.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace atoll::net {

namespace crc32c_internal {
constexpr std::array<uint32_t, 256> MakeTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) ? 0x82F63B78u : 0u);
    table[i] = value;
  }
  return table;
}
inline constexpr std::array<uint32_t, 256> kTable = MakeTable();
}  // namespace crc32c_internal

inline uint32_t Crc32c(std::span<const std::byte> bytes) {
  uint32_t crc = ~0u;
  for (std::byte b : bytes) crc = (crc >> 8) ^ crc32c_internal::kTable[(crc ^ static_cast<uint32_t>(b)) & 0xFF];
  return ~crc;
}

}  // namespace atoll::net
