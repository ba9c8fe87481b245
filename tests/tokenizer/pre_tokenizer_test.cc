#include "model/tokenizer/pre_tokenizer/pre_tokenizer.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace atoll::model {
namespace {

std::string Pieces(std::string_view text) {
  std::string joined;
  PieceReader reader(text);
  for (bool first = true; const auto piece = reader.Next(); first = false) {
    EXPECT_FALSE(piece->empty());
    joined += (first ? "" : "|") + std::string(*piece);
  }
  return joined;
}

struct Case {
  const char* text;
  const char* pieces;
};

// The first list is check 9 of the specification.
class KnownPieces : public testing::TestWithParam<Case> {};

TEST_P(KnownPieces, AreCut) { EXPECT_EQ(Pieces(GetParam().text), GetParam().pieces); }

INSTANTIATE_TEST_SUITE_P(
    Specification, KnownPieces,
    testing::Values(Case{"in 2000 . This", "in| |200|0| .| This"}, Case{"don't I'll 'told ''' --x", "don|'t| I|'ll| '|told| '''| --|x"},
                    Case{"a   b\n\n  c\t\td  ", "a|  | b|\n\n| | c|\t|\td|  "}, Case{"x\n \n\n y", "x|\n \n\n| y"},
                    Case{"12345 1.5 ٣٣٣٣ Ⅻ½", "123|45| |1|.|5| |٣٣٣|٣| |Ⅻ½"}, Case{"我想在apple工作1314151天～", "我想在|apple|工作|131|415|1|天|～"},
                    Case{"カタカナとｶﾀｶﾅ 々〇 㐀", "カタカナと|ｶﾀｶﾅ| 々|〇| 㐀"},
                    Case{"def f(x):\n    return x+1  # ok\n", "def| f|(x|):\n|   | return| x|+|1| | #| ok|\n"},
                    Case{"foo.bar_baz->qux", "foo|.bar|_baz|->|qux"}, Case{"<think>\nok", "<think|>\n|ok"},
                    Case{"$100,000.00!", "$|100|,|000|.|00|!"}, Case{"\u00A0a\u3000b", "\u00A0a|\u3000b"}));

INSTANTIATE_TEST_SUITE_P(
    Corners, KnownPieces,
    testing::Values(Case{"", ""}, Case{" ", " "}, Case{"  ", "  "}, Case{"   1", "   |1"}, Case{"   中", "   |中"}, Case{"  a", " | a"}, Case{"  !", " | !"},
                    Case{" \u00A0!", " |\u00A0|!"}, Case{"\r\n\r\nx", "\r\n\r\n|x"}, Case{"!\r\n\n x", "!\r\n\n| x"}, Case{" !!\n", " !!\n"},
                    Case{"\u0301\u0301", "\u0301\u0301"}, Case{"1\u0301a", "1|\u0301a"}, Case{"\u200D\u200D\u200Dx", "\u200D\u200D|\u200Dx"},
                    Case{"\u200D\u200D!", "\u200D\u200D|!"}, Case{"\u0001 \u0001", "\u0001| |\u0001"}, Case{"\u0001" "1", "\u0001|1"},
                    Case{"\u0001中", "\u0001|中"}, Case{"!a1b", "!a|1|b"}, Case{"!é", "!|é"}, Case{"é!abc", "é|!abc"}, Case{"\n a", "\n| a"},
                    Case{"\n  a", "\n| | a"}, Case{"\x0B\x0C x", "\x0B\x0C| x"}, Case{"゛ー・", "゛ー・"}, Case{" ー", " |ー"}));

// How many code points Unicode 16.0 has of each; letters, marks, punctuation and symbols without those in the han and kana set.
TEST(UnicodeClass, CountsOfUnicode16) {
  std::map<CharClass, int> count;
  for (uint32_t code_point = 0; code_point < 0x110000; ++code_point) ++count[ClassOf(code_point)];
  constexpr int kHanOrKana = 0x9FA5 - 0x4E00 + 1 + 0x30FF - 0x3040 + 1;
  EXPECT_EQ(count[CharClass::kHanOrKana], kHanOrKana);
  EXPECT_EQ(count[CharClass::kSpace], 25);
  EXPECT_EQ(count[CharClass::kNumber], 1911);
  EXPECT_EQ(count[CharClass::kLetter], 141028 - (0x9FA5 - 0x4E00 + 1) - 183);
  EXPECT_EQ(count[CharClass::kMark], 2501 - 2);
  EXPECT_EQ(count[CharClass::kPunctuation], 855 - 2);
  EXPECT_EQ(count[CharClass::kSymbol], 8514 - 2);
}

TEST(UnicodeClass, OneOfEach) {
  EXPECT_EQ(ClassOf('a'), CharClass::kLetter);
  EXPECT_EQ(ClassOf(0x1C89), CharClass::kLetter) << "new in Unicode 16";
  EXPECT_EQ(ClassOf(0xFE0F), CharClass::kMark);
  EXPECT_EQ(ClassOf(0xE0100), CharClass::kMark);
  EXPECT_EQ(ClassOf(0x2166), CharClass::kNumber);
  EXPECT_EQ(ClassOf('_'), CharClass::kPunctuation);
  EXPECT_EQ(ClassOf('$'), CharClass::kSymbol);
  EXPECT_EQ(ClassOf(0x1F600), CharClass::kSymbol);
  EXPECT_EQ(ClassOf(0x85), CharClass::kSpace);
  EXPECT_EQ(ClassOf(0x200D), CharClass::kOther);
  EXPECT_EQ(ClassOf(0x10FFFF), CharClass::kOther);
  EXPECT_EQ(ClassOf(0x9FA5), CharClass::kHanOrKana);
  EXPECT_EQ(ClassOf(0x9FA6), CharClass::kLetter);
}

}  // namespace
}  // namespace atoll::model
