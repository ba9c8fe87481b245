#pragma once

// UTF-8 as Unicode defines it: no surrogates, no overlong forms, nothing above U+10FFFF.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace atoll {

enum class Utf8Part {
  kCharacter,   // a whole character
  kInvalid,     // bytes that cannot begin a character whatever follows: one maximal invalid part
  kUnfinished,  // the valid beginning of a character, cut off by the end of the bytes
};

struct Utf8Step {
  Utf8Part part;
  size_t length;  // bytes, at least 1
};

// What `bytes`, which is not empty, begins with.
Utf8Step FirstUtf8(std::string_view bytes);

// Offset of the first byte that belongs to no whole character; bytes.size() where all of it is UTF-8.
size_t FirstInvalidUtf8(std::string_view bytes);

// Appends `bytes` to `text`, U+FFFD in place of each maximal invalid part; returns the length of an unfinished character at
// the end, which is left out.
size_t AppendReplacingInvalid(std::string_view bytes, std::string& text);

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

// The code point of the whole character at `bytes`, which the caller knows to be UTF-8; `length` gets its bytes.
inline uint32_t DecodeValidUtf8(const char* bytes, uint32_t& length) {
  const auto byte = [bytes](int i) { return static_cast<uint32_t>(static_cast<unsigned char>(bytes[i])); };
  const uint32_t lead = byte(0);
  if (lead < 0x80) return length = 1, lead;
  if (lead < 0xE0) return length = 2, (lead & 0x1F) << 6 | (byte(1) & 0x3F);
  if (lead < 0xF0) return length = 3, (lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
  return length = 4, (lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
}

}  // namespace atoll
