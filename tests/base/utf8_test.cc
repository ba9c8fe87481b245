#include "base/utf8.h"

#include <gtest/gtest.h>

namespace atoll {
namespace {

std::string Replaced(std::string_view bytes) {
  std::string text;
  if (AppendReplacingInvalid(bytes, text) > 0) text += kReplacementCharacter;
  return text;
}

TEST(Utf8, AcceptsEveryCodePointButSurrogates) {
  for (uint32_t code = 0; code < 0x110000; ++code) {
    std::string bytes;
    if (code < 0x80) {
      bytes = {static_cast<char>(code)};
    } else if (code < 0x800) {
      bytes = {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
    } else if (code < 0x10000) {
      bytes = {static_cast<char>(0xE0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 0x3F)),
               static_cast<char>(0x80 | (code & 0x3F))};
    } else {
      bytes = {static_cast<char>(0xF0 | code >> 18), static_cast<char>(0x80 | (code >> 12 & 0x3F)),
               static_cast<char>(0x80 | (code >> 6 & 0x3F)), static_cast<char>(0x80 | (code & 0x3F))};
    }
    const bool is_surrogate = code >= 0xD800 && code <= 0xDFFF;
    ASSERT_EQ(FirstInvalidUtf8(bytes), is_surrogate ? 0 : bytes.size()) << code;
    if (is_surrogate) continue;
    uint32_t length = 0;
    ASSERT_EQ(DecodeValidUtf8(bytes.data(), length), code);
    ASSERT_EQ(length, bytes.size());
    ASSERT_EQ(FirstUtf8(bytes.substr(0, length - (length > 1))).part, length > 1 ? Utf8Part::kUnfinished : Utf8Part::kCharacter);
  }
}

// The table of the Unicode standard, section 3.9, "U+FFFD substitution of maximal subparts".
TEST(Utf8, ReplacesMaximalInvalidParts) {
  const std::string r(kReplacementCharacter);
  EXPECT_EQ(Replaced("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(Replaced("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(Replaced("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"), r + r + r + r + r + "A" + r + r + "B");
  EXPECT_EQ(Replaced("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), r + r + r + r + "A");
  EXPECT_EQ(Replaced("a\xF0\x9F\x98"), "a" + r);
}

TEST(Utf8, NamesTheFirstBadByte) {
  EXPECT_EQ(FirstInvalidUtf8("0123456789\xFFz"), 10u);
  EXPECT_EQ(FirstInvalidUtf8("01234567\xE2\x82"), 8u);
  EXPECT_EQ(FirstInvalidUtf8(""), 0u);
}

}  // namespace
}  // namespace atoll
