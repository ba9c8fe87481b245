#include "base/utf8.h"

#include <cstring>

namespace atoll {
namespace {

struct LeadByte {
  size_t length;             // 0: no character begins so
  unsigned char second_min;  // bounds of the second byte shut out overlong forms, surrogates and what is above U+10FFFF
  unsigned char second_max;
};

LeadByte LeadOf(unsigned char lead) {
  if (lead < 0x80) return {1, 0, 0};
  if (lead < 0xC2) return {0, 0, 0};
  if (lead < 0xE0) return {2, 0x80, 0xBF};
  if (lead == 0xE0) return {3, 0xA0, 0xBF};
  if (lead == 0xED) return {3, 0x80, 0x9F};
  if (lead < 0xF0) return {3, 0x80, 0xBF};
  if (lead == 0xF0) return {4, 0x90, 0xBF};
  if (lead < 0xF4) return {4, 0x80, 0xBF};
  if (lead == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

bool IsEightAscii(const char* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return (word & 0x8080808080808080u) == 0;
}

}  // namespace

Utf8Step FirstUtf8(std::string_view bytes) {
  const LeadByte lead = LeadOf(static_cast<unsigned char>(bytes[0]));
  if (lead.length <= 1) return {lead.length == 1 ? Utf8Part::kCharacter : Utf8Part::kInvalid, 1};
  for (size_t i = 1; i < lead.length; ++i) {
    if (i == bytes.size()) return {Utf8Part::kUnfinished, i};
    const auto byte = static_cast<unsigned char>(bytes[i]);
    const unsigned char least = i == 1 ? lead.second_min : 0x80;
    const unsigned char most = i == 1 ? lead.second_max : 0xBF;
    if (byte < least || byte > most) return {Utf8Part::kInvalid, i};
  }
  return {Utf8Part::kCharacter, lead.length};
}

size_t FirstInvalidUtf8(std::string_view bytes) {
  size_t at = 0;
  while (at < bytes.size()) {
    if (at + 8 <= bytes.size() && IsEightAscii(bytes.data() + at)) {
      at += 8;
      continue;
    }
    const Utf8Step step = FirstUtf8(bytes.substr(at));
    if (step.part != Utf8Part::kCharacter) return at;
    at += step.length;
  }
  return at;
}

size_t AppendReplacingInvalid(std::string_view bytes, std::string& text) {
  while (!bytes.empty()) {
    const Utf8Step step = FirstUtf8(bytes);
    if (step.part == Utf8Part::kUnfinished) return step.length;
    text += step.part == Utf8Part::kCharacter ? bytes.substr(0, step.length) : kReplacementCharacter;
    bytes.remove_prefix(step.length);
  }
  return 0;
}

}  // namespace atoll
