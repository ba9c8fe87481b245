#pragma once

// How a packed panel holds e4m3 weights: codes with their bits in an order that makes a bfloat16 of them cheap. Data only (see panel.h).
//
// A packed code is, from its highest bit, e0 m2 m1 m0 s e3 e2 e1. Its upper four bits are the low byte of the bfloat16 as they
// stand, its lower four choose the high byte. Exponent 0 then means 2^-7 x 1.m, which is right for the four larger subnormals
// once they are given the even m. The odd m there stand for 0, 1, 2 and 3 x 2^-9, the *rare* weights (a quantizer that brings
// a block's largest weight to 448 makes some 0.01 % of them): they decode wrong and are put right where a pair's bit in
// KBlockHead says that it has any. No packed code is NaN: PackMatrix refuses it.

#include <cstdint>

#include "base/dtype.h"

namespace atoll::kernels {

// In front of a panel's pairs, one for each k block.
struct KBlockHead {
  uint64_t rare = 0;   // bit p: pair p of the block has a rare weight among the panel's outputs
  float scale = 1.0f;
};

// Packed codes that are rare: (code & kRareMask) == kRareBits. The same for what their bfloat16 would be.
inline constexpr int kRareMask = 0x97, kRareBits = 0x10;
inline constexpr int kRareWordMask = 0x7F90, kRareWordBits = 0x3C10;

struct E4M3Packing {
  uint8_t packed[256];              // of a code
  uint8_t code[256];                // of a packed code
  alignas(64) uint8_t high[64];     // of a packed code's lower six bits, of which the lower four count: the bfloat16's high byte
  alignas(16) uint8_t rare_low[16], rare_high[16];   // the bytes of 0, 1, 2 and 3 x 2^-9, by bits 2 and 1 of m
};

constexpr E4M3Packing MakeE4M3Packing() {
  E4M3Packing packing{};
  for (int code = 0; code < 256; ++code) {
    const int exponent = code >> 3 & 15, mantissa = code & 7;
    const int m = exponent > 0 ? mantissa : mantissa >= 4 ? 2 * (mantissa - 4) : 2 * mantissa + 1;
    const int packed = (exponent & 1) << 7 | m << 4 | code >> 7 << 3 | exponent >> 1;
    packing.packed[code] = static_cast<uint8_t>(packed);
    packing.code[packed] = static_cast<uint8_t>(code);
  }
  for (int index = 0; index < 64; ++index) packing.high[index] = static_cast<uint8_t>((index >> 3 & 1) << 7 | (0x3C + (index & 7)));
  for (int code = 0; code < 4; ++code) {
    const uint16_t bits = ToBFloat16(E4M3ToFloat(static_cast<uint8_t>(code))).bits;
    packing.rare_low[code] = static_cast<uint8_t>(bits & 0xFF);
    packing.rare_high[code] = static_cast<uint8_t>(bits >> 8);
  }
  return packing;
}

inline constexpr E4M3Packing kE4M3Packing = MakeE4M3Packing();

}  // namespace atoll::kernels
