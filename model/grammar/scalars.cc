// Strings, numbers and words, byte by byte.

#include <algorithm>

#include "model/grammar/step.h"
#include "model/grammar/utf8_place.h"

namespace atoll::model::grammar {
namespace {

// A string: its first quote, between or inside characters (`inner` says where), and inside an escape.
enum StringPhase : uint8_t { kQuote = 0, kCharacters, kEscape, kHex1, kHex2, kHex2AfterD, kHex3, kHex4 };

bool IsDigit(uint8_t byte) { return byte >= '0' && byte <= '9'; }
bool IsHex(uint8_t byte) { return IsDigit(byte) || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F'); }

Step Go(Frame& frame, uint8_t phase) {
  frame.phase = phase;
  return Step::kTaken;
}

// Counts one character; false where there may be none.
bool CountCharacter(const Node& node, Frame& frame) {
  if (node.most != kNoLimit) return frame.value++ < node.most;
  frame.value = std::min<uint64_t>(frame.value + 1, node.least);
  return true;
}

Step StepCharacter(const Node& node, uint8_t byte, Frame& frame) {
  if (frame.inner == kBetween) {
    if (byte == '"') return frame.value >= node.least ? Step::kEnded : Step::kRefused;
    if (byte < 0x20 || !CountCharacter(node, frame)) return Step::kRefused;
    if (byte == '\\') return Go(frame, kEscape);
  }
  const int place = NextUtf8Place(frame.inner, byte);
  if (place < 0) return Step::kRefused;
  frame.inner = static_cast<uint8_t>(place);
  return Step::kTaken;
}

constexpr uint64_t kWordBits = 16;
constexpr uint64_t kWordMask = (1 << kWordBits) - 1;

// The words that the bytes so far begin: [low, high), and how many bytes that are.
struct WordRange {
  explicit WordRange(const Node& node, const Frame& frame)
      : low(frame.value & kWordMask), high(frame.phase == 0 ? node.words.size() : (frame.value >> kWordBits) & kWordMask), at(frame.value >> 2 * kWordBits) {}
  void Store(Frame& frame) const {
    frame.phase = 1;
    frame.value = low | high << kWordBits | at << 2 * kWordBits;
  }

  uint64_t low, high, at;
};

// A magnitude and the least and the largest that it may become.
struct Magnitude {
  uint64_t value, lowest, highest;

  bool Fits() const { return value >= lowest && value <= highest; }
  // Whether at least `digits` more digits can make it fit.
  bool CanFit(int digits) const {
    if (value == 0) return digits == 0 && Fits();
    uint64_t low = value, high = value;
    for (int i = 0; low <= highest; ++i) {
      if (i >= digits && high >= lowest) return true;
      low = low * 10;
      high = high * 10 + 9;
    }
    return false;
  }
};

enum IntegerPhase : uint8_t { kSign = 0, kAfterMinus, kPositive, kNegative };

Magnitude MagnitudeOf(const Node& node, uint64_t value, bool negative) {
  if (!negative) return {value, static_cast<uint64_t>(std::max<int64_t>(node.lowest, 0)), static_cast<uint64_t>(std::max<int64_t>(node.highest, 0))};
  return {value, static_cast<uint64_t>(std::max<int64_t>(-node.highest, 1)), static_cast<uint64_t>(std::max<int64_t>(-node.lowest, 0))};
}

// A number: digits before the point, after it and of the exponent, as many as every reader takes.
enum NumberPhase : uint8_t { kNumberSign = 0, kAfterNumberSign, kZero, kWhole, kPoint, kFraction, kExponent, kExponentSign, kExponentDigits };
constexpr uint64_t kWholeDigitsMax = 16, kFractionDigitsMax = 17, kExponentDigitsMax = 2;

Step StepDigits(Frame& frame, uint8_t phase, uint64_t digits_max) {
  if (frame.phase != phase) frame.value = 0;
  return frame.value++ < digits_max ? Go(frame, phase) : Step::kRefused;
}

Step StepWholePart(const Node& node, uint8_t byte, Frame& frame) {
  if (byte == '-' && frame.phase == kNumberSign && node.lowest < 0) return Go(frame, kAfterNumberSign);
  if (byte == '0' && frame.phase < kZero) return Go(frame, kZero);
  if (IsDigit(byte) && frame.phase != kZero) return StepDigits(frame, kWhole, kWholeDigitsMax);
  if (frame.phase < kZero) return Step::kRefused;
  if (byte == '.' || byte == 'e' || byte == 'E') frame.value = 0;
  if (byte == '.') return Go(frame, kPoint);
  if (byte == 'e' || byte == 'E') return Go(frame, kExponent);
  return IsDigit(byte) ? Step::kRefused : Step::kEndedBefore;
}

Step StepExponent(uint8_t byte, Frame& frame) {
  if ((byte == '-' || byte == '+') && frame.phase == kExponent) return Go(frame, kExponentSign);
  if (!IsDigit(byte)) return frame.phase == kExponentDigits ? Step::kEndedBefore : Step::kRefused;
  if (StepDigits(frame, kExponentDigits, kExponentDigitsMax) == Step::kRefused) return Step::kRefused;
  return frame.value == kExponentDigitsMax ? Step::kEnded : Step::kTaken;
}

}  // namespace

Step StepString(const Node& node, uint8_t byte, Frame& frame) {
  switch (frame.phase) {
    case kQuote: return byte == '"' ? Go(frame, kCharacters) : Step::kRefused;
    case kCharacters: return StepCharacter(node, byte, frame);
    case kEscape:
      if (byte == 'u') return Go(frame, kHex1);
      return std::string_view("\"\\/bfnrt").find(static_cast<char>(byte)) != std::string_view::npos ? Go(frame, kCharacters) : Step::kRefused;
    // Surrogates are left out: characters beyond the first plane stand for themselves.
    case kHex1: return !IsHex(byte) ? Step::kRefused : Go(frame, byte == 'd' || byte == 'D' ? kHex2AfterD : kHex2);
    case kHex2AfterD: return byte >= '0' && byte <= '7' ? Go(frame, kHex3) : Step::kRefused;
    case kHex2: return IsHex(byte) ? Go(frame, kHex3) : Step::kRefused;
    case kHex3: return IsHex(byte) ? Go(frame, kHex4) : Step::kRefused;
    case kHex4: return IsHex(byte) ? Go(frame, kCharacters) : Step::kRefused;
    default: return Step::kRefused;
  }
}

Step StepInteger(const Node& node, uint8_t byte, Frame& frame) {
  if (frame.phase == kSign && byte == '-') {
    const Magnitude range = MagnitudeOf(node, 0, true);
    return node.lowest < 0 && range.lowest <= range.highest ? Go(frame, kAfterMinus) : Step::kRefused;
  }
  const bool negative = frame.phase == kAfterMinus || frame.phase == kNegative;
  if (!IsDigit(byte)) return MayEnd(node, frame) ? Step::kEndedBefore : Step::kRefused;
  if ((!negative && node.highest < 0) || (frame.phase >= kPositive && frame.value == 0)) return Step::kRefused;
  const Magnitude grown = MagnitudeOf(node, frame.value * 10 + (byte - '0'), negative);
  if (!grown.CanFit(0)) return Step::kRefused;
  frame.value = grown.value;
  frame.phase = negative ? kNegative : kPositive;
  return grown.CanFit(1) ? Step::kTaken : Step::kEnded;
}

Step StepNumber(const Node& node, uint8_t byte, Frame& frame) {
  if (frame.phase <= kWhole) return StepWholePart(node, byte, frame);
  if (frame.phase >= kExponent) return StepExponent(byte, frame);
  if (IsDigit(byte)) return StepDigits(frame, kFraction, kFractionDigitsMax);
  if (frame.phase == kPoint) return Step::kRefused;
  return byte == 'e' || byte == 'E' ? Go(frame, kExponent) : Step::kEndedBefore;
}

Step StepWords(const Node& node, uint8_t byte, Frame& frame) {
  WordRange range(node, frame);
  const bool complete = node.words[range.low].size() == range.at;
  const auto first = node.words.begin() + static_cast<int64_t>(range.low + (complete ? 1 : 0));
  const auto last = node.words.begin() + static_cast<int64_t>(range.high);
  const auto byte_of = [at = range.at](const std::string& word) { return static_cast<unsigned char>(word[at]); };
  const auto low = std::partition_point(first, last, [&](const std::string& word) { return byte_of(word) < byte; });
  const auto high = std::partition_point(low, last, [&](const std::string& word) { return byte_of(word) == byte; });
  if (low == high) return complete ? Step::kEndedBefore : Step::kRefused;
  range.low = static_cast<uint64_t>(low - node.words.begin());
  range.high = static_cast<uint64_t>(high - node.words.begin());
  ++range.at;
  range.Store(frame);
  return range.high - range.low == 1 && low->size() == range.at ? Step::kEnded : Step::kTaken;
}

bool MayEnd(const Node& node, const Frame& frame) {
  switch (node.kind) {
    case NodeKind::kInteger: return frame.phase >= kPositive && MagnitudeOf(node, frame.value, frame.phase == kNegative).Fits();
    case NodeKind::kNumber: return frame.phase == kZero || frame.phase == kWhole || frame.phase == kFraction || frame.phase == kExponentDigits;
    case NodeKind::kWords: return WordMayEnd(node, frame);
    default: return false;
  }
}

bool WordMayEnd(const Node& node, const Frame& frame) {
  const WordRange range(node, frame);
  return frame.phase == 1 && node.words[range.low].size() == range.at;
}

size_t WordOf(const Frame& frame) { return frame.value & kWordMask; }

bool TakeBlank(uint8_t byte, Frame& frame) {
  constexpr int kNewlinesMax = 2, kOthersMax = 32;
  // Newlines up to kNewlinesMax; from there on, the others.
  const int before = byte == '\n' ? frame.inner : std::max<int>(frame.inner, kNewlinesMax);
  const bool taken = byte == '\n' ? before < kNewlinesMax : (byte == ' ' || byte == '\t') && before < kNewlinesMax + kOthersMax;
  if (taken) frame.inner = static_cast<uint8_t>(before + 1);
  return taken;
}

}  // namespace atoll::model::grammar
