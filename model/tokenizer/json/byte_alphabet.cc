#include "model/tokenizer/json/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "base/utf8.h"

namespace atoll::model {
namespace {

constexpr int16_t kNoByte = -1;
constexpr uint32_t kSpellingsEnd = 256 + 68;

constexpr bool StandsForItself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

constexpr std::array<int16_t, kSpellingsEnd> MakeByteOfSpelling() {
  std::array<int16_t, kSpellingsEnd> bytes{};
  bytes.fill(kNoByte);
  uint32_t next = 256;
  for (int byte = 0; byte < 256; ++byte) bytes[StandsForItself(byte) ? byte : next++] = static_cast<int16_t>(byte);
  return bytes;
}

constexpr std::array<int16_t, kSpellingsEnd> kByteOfSpelling = MakeByteOfSpelling();

}  // namespace

std::optional<std::string> BytesOfSpelling(std::string_view spelled) {
  std::string bytes;
  for (size_t at = 0; at < spelled.size();) {
    uint32_t length = 0;
    const uint32_t code_point = DecodeValidUtf8(spelled.data() + at, length);
    if (code_point >= kSpellingsEnd || kByteOfSpelling[code_point] == kNoByte) return std::nullopt;
    bytes += static_cast<char>(kByteOfSpelling[code_point]);
    at += length;
  }
  return bytes;
}

}  // namespace atoll::model
