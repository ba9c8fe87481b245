#include "model/tokenizer/pre_tokenizer/pre_tokenizer.h"

#include <array>

#include "base/utf8.h"

namespace atoll::model {
namespace {

constexpr int kNumbersPerPiece = 3;

std::array<CharClass, 128> MakeAsciiClasses() {
  std::array<CharClass, 128> classes;
  for (uint32_t code = 0; code < classes.size(); ++code) classes[code] = ClassOf(code);
  return classes;
}

const std::array<CharClass, 128> kAsciiClasses = MakeAsciiClasses();

bool IsAsciiLetter(char byte) { return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z'); }
bool IsLineBreak(char byte) { return byte == '\r' || byte == '\n'; }
bool IsWordClass(CharClass c) { return c == CharClass::kLetter || c == CharClass::kMark; }
bool IsPunctuationClass(CharClass c) { return c == CharClass::kPunctuation || c == CharClass::kSymbol; }

}  // namespace

PieceReader::Char PieceReader::CharAt(const char* at) const {
  if (at == end_) return {CharClass::kOther, 0, '\0'};
  if (const auto byte = static_cast<unsigned char>(*at); byte < kAsciiClasses.size()) return {kAsciiClasses[byte], 1, *at};
  uint32_t length = 0;
  const uint32_t code_point = DecodeValidUtf8(at, length);
  return {ClassOf(code_point), length, *at};
}

PieceReader::Char PieceReader::SegmentCharAt(const char* at) const {
  const Char found = CharAt(at);
  if (found.char_class == CharClass::kNumber || found.char_class == CharClass::kHanOrKana) return {CharClass::kOther, 0, '\0'};
  return found;
}

const char* PieceReader::EndOfNumbers(const char* at) const {
  for (int taken = 0; taken < kNumbersPerPiece; ++taken) {
    const Char found = CharAt(at);
    if (found.length == 0 || found.char_class != CharClass::kNumber) break;
    at += found.length;
  }
  return at;
}

template <typename Belongs>
const char* PieceReader::EndOfRun(const char* at, Belongs belongs) const {
  for (Char found = CharAt(at); found.length > 0 && belongs(found); found = CharAt(at)) at += found.length;
  return at;
}

// [ASCII punctuation][A-Za-z]+
const char* PieceReader::MatchPunctuatedWord(const char* at, const Char& first) const {
  if (first.length != 1 || !IsPunctuationClass(first.char_class)) return nullptr;
  const char* end = at + 1;
  while (end != end_ && IsAsciiLetter(*end)) ++end;
  return end == at + 1 ? nullptr : end;
}

// [^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+: a mark may be the optional character as well as the run's first, with the same end.
const char* PieceReader::MatchWord(const char* at, const Char& first) const {
  if (IsPunctuationClass(first.char_class) || IsLineBreak(first.first_byte)) return nullptr;
  const auto is_word = [](const Char& found) { return IsWordClass(found.char_class); };
  const char* end = EndOfRun(at + first.length, is_word);
  return end == at + first.length && !is_word(first) ? nullptr : end;
}

//  ?[\p{P}\p{S}]+[\r\n]*
const char* PieceReader::MatchPunctuation(const char* at, const Char& first) const {
  const char* begin = first.first_byte == ' ' ? at + 1 : at;
  const char* end = EndOfRun(begin, [](const Char& found) { return IsPunctuationClass(found.char_class); });
  if (end == begin) return nullptr;
  while (end != end_ && IsLineBreak(*end)) ++end;
  return end;
}

// \s*[\r\n]+ | \s+(?!\S) | \s+: through the last line break of the run; else all of it where the segment ends there; else all
// but its last character, which is left to the word or punctuation that follows; else that one character.
const char* PieceReader::MatchSpaces(const char* at, const Char& first) const {
  if (first.char_class != CharClass::kSpace) return nullptr;
  const char* after_break = nullptr;
  const char* last = at;
  const char* end = at;
  for (Char found = first; found.length > 0 && found.char_class == CharClass::kSpace; found = SegmentCharAt(end)) {
    last = end;
    end += found.length;
    if (IsLineBreak(found.first_byte)) after_break = end;
  }
  if (after_break != nullptr) return after_break;
  const bool at_segment_end = SegmentCharAt(end).length == 0;
  return at_segment_end || last == at ? end : last;
}

// No rule matches at a character of class kOther, unless a word follows it, whose optional first character it then is.
const char* PieceReader::EndOfGap(const char* at) const {
  const char* end = at + SegmentCharAt(at).length;
  for (Char found = SegmentCharAt(end); found.length > 0 && found.char_class == CharClass::kOther; found = SegmentCharAt(end)) {
    if (IsWordClass(SegmentCharAt(end + found.length).char_class)) break;
    end += found.length;
  }
  return end;
}

const char* PieceReader::EndOfThirdSplit(const char* at, const Char& first) const {
  if (const char* end = MatchPunctuatedWord(at, first)) return end;
  if (const char* end = MatchWord(at, first)) return end;
  if (const char* end = MatchPunctuation(at, first)) return end;
  if (const char* end = MatchSpaces(at, first)) return end;
  return EndOfGap(at);
}

std::optional<std::string_view> PieceReader::Next() {
  const Char first = CharAt(next_);
  if (first.length == 0) return std::nullopt;
  const char* begin = next_;
  if (first.char_class == CharClass::kNumber) {
    next_ = EndOfNumbers(begin);
  } else if (first.char_class == CharClass::kHanOrKana) {
    next_ = EndOfRun(begin, [](const Char& found) { return found.char_class == CharClass::kHanOrKana; });
  } else {
    next_ = EndOfThirdSplit(begin, first);
  }
  return std::string_view(begin, static_cast<size_t>(next_ - begin));
}

}  // namespace atoll::model
