#include "model/grammar/utf8_place.h"

namespace atoll::model::grammar {
namespace {

bool In(uint8_t byte, uint8_t lowest, uint8_t highest) { return byte >= lowest && byte <= highest; }

int PlaceAfterFirst(uint8_t byte) {
  if (byte < 0x80) return kBetween;
  if (In(byte, 0xC2, 0xDF)) return kOneLeft;
  if (byte == 0xE0) return kAfterE0;
  if (byte == 0xED) return kAfterEd;
  if (In(byte, 0xE1, 0xEF)) return kTwoLeft;
  if (byte == 0xF0) return kAfterF0;
  if (In(byte, 0xF1, 0xF3)) return kThreeLeft;
  return byte == 0xF4 ? kAfterF4 : -1;
}

}  // namespace

int NextUtf8Place(uint8_t place, uint8_t byte) {
  switch (place) {
    case kBetween: return PlaceAfterFirst(byte);
    case kOneLeft: return In(byte, 0x80, 0xBF) ? kBetween : -1;
    case kTwoLeft: return In(byte, 0x80, 0xBF) ? kOneLeft : -1;
    case kThreeLeft: return In(byte, 0x80, 0xBF) ? kTwoLeft : -1;
    case kAfterE0: return In(byte, 0xA0, 0xBF) ? kOneLeft : -1;
    case kAfterEd: return In(byte, 0x80, 0x9F) ? kOneLeft : -1;
    case kAfterF0: return In(byte, 0x90, 0xBF) ? kTwoLeft : -1;
    case kAfterF4: return In(byte, 0x80, 0x8F) ? kTwoLeft : -1;
    default: return -1;
  }
}

}  // namespace atoll::model::grammar
