#pragma once

// What the pre-tokenizer must know of a character: its general category's letter, and the two sets that stand apart.

#include <cstdint>

namespace atoll::model {

// The values are the digits of unicode_class_table.inc.
enum class CharClass : uint8_t {
  kOther = 0,        // control, format, private use, unassigned
  kLetter = 1,
  kMark = 2,
  kNumber = 3,
  kPunctuation = 4,
  kSymbol = 5,
  kSpace = 6,        // White_Space
  kHanOrKana = 7,    // U+4E00..9FA5 and U+3040..30FF whatever their category: the second split takes them
};

// `code_point` below 0x110000.
CharClass ClassOf(uint32_t code_point);

}  // namespace atoll::model
