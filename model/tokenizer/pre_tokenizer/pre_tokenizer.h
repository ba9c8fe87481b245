#pragma once

// DeepSeek-V3's pre-tokenizer, written out by hand: three regular expressions, each applied to the pieces of the one before.
//   1. \p{N}{1,3}
//   2. [U+4E00-9FA5 U+3040-309F U+30A0-30FF]+
//   3. [ASCII punctuation][A-Za-z]+ | [^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+ | ?[\p{P}\p{S}]+[\r\n]* | \s*[\r\n]+ | \s+(?!\S) | \s+
// Matches and the gaps between them are pieces; nothing is dropped. No backtracking: every rule is a scan of runs.

#include <optional>
#include <string_view>

#include "model/tokenizer/pre_tokenizer/unicode_class.h"

namespace atoll::model {

// Reads the pieces of one text in order. Linear time, constant stack; `text` is UTF-8 and outlives the reader.
class PieceReader {
 public:
  explicit PieceReader(std::string_view text) : next_(text.data()), end_(text.data() + text.size()) {}

  // nullopt at the end of the text. The pieces, one after the other, are the text.
  std::optional<std::string_view> Next();

 private:
  struct Char {
    CharClass char_class;
    uint32_t length;  // bytes; 0 at the end of the segment, that is of the text or before a number, a han or a kana
    char first_byte;
  };

  Char CharAt(const char* at) const;         // of the whole text
  Char SegmentCharAt(const char* at) const;  // third split: ends where the first two splits took something
  const char* EndOfNumbers(const char* at) const;
  template <typename Belongs>
  const char* EndOfRun(const char* at, Belongs belongs) const;

  // The rules of the third split; each returns the end of its match at `at`, or null.
  const char* MatchPunctuatedWord(const char* at, const Char& first) const;
  const char* MatchWord(const char* at, const Char& first) const;
  const char* MatchPunctuation(const char* at, const Char& first) const;
  const char* MatchSpaces(const char* at, const Char& first) const;
  const char* EndOfGap(const char* at) const;
  const char* EndOfThirdSplit(const char* at, const Char& first) const;

  const char* next_;
  const char* end_;
};

}  // namespace atoll::model
