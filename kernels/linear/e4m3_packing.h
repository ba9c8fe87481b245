#pragma once

// Tables from an e4m3 code to the two bytes of its bfloat16. Data only (see panel.h).

#include <cstdint>

#include "base/dtype.h"

namespace atoll::kernels {

// Indexed by the code without its sign; for one byte permute over 128 entries.
struct E4M3ByteTables {
  alignas(64) uint8_t low[128];
  alignas(64) uint8_t high[128];
};

// For 16-entry shuffles. A normal code has high byte high[code >> 4] (sign included) and low byte code << 4; a code below 8 is
// subnormal, and there fix_*[8 + code] is what to xor onto that. The shuffle's index is code + 0x78: its top bit is set, and the
// result zero, exactly for normal codes. No table knows NaN: PackMatrix refuses it.
struct E4M3NibbleTables {
  alignas(16) uint8_t high[16];
  alignas(16) uint8_t fix_low[16];
  alignas(16) uint8_t fix_high[16];
};

constexpr E4M3ByteTables MakeE4M3ByteTables() {
  E4M3ByteTables tables{};
  for (int code = 0; code < 128; ++code) {
    const uint16_t bits = ToBFloat16(E4M3ToFloat(static_cast<uint8_t>(code))).bits;
    tables.low[code] = static_cast<uint8_t>(bits & 0xFF);
    tables.high[code] = static_cast<uint8_t>(bits >> 8);
  }
  return tables;
}

constexpr E4M3NibbleTables MakeE4M3NibbleTables() {
  E4M3NibbleTables tables{};
  for (int nibble = 0; nibble < 16; ++nibble) tables.high[nibble] = static_cast<uint8_t>((nibble & 8) << 4 | (0x3C + (nibble & 7)));
  for (int code = 0; code < 8; ++code) {
    const uint16_t bits = ToBFloat16(E4M3ToFloat(static_cast<uint8_t>(code))).bits;
    tables.fix_low[8 + code] = static_cast<uint8_t>((bits & 0xFF) ^ (code << 4));
    tables.fix_high[8 + code] = static_cast<uint8_t>((bits >> 8) ^ 0x3C);
  }
  return tables;
}

inline constexpr E4M3ByteTables kE4M3Bytes = MakeE4M3ByteTables();
inline constexpr E4M3NibbleTables kE4M3Nibbles = MakeE4M3NibbleTables();

}  // namespace atoll::kernels
