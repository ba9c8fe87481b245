#include "model/tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include "tests/tokenizer/test_tokenizers.h"

namespace atoll::model {
namespace {

using Ids = std::vector<int32_t>;

Ids Encoded(std::string_view text, AddedTokens added = AddedTokens::kMatch) { return *Tales().Encode(text, added); }

// Ids that Hugging Face tokenizers 0.23.3 gives for the bundled checkpoint.
struct Known {
  const char* text;
  Ids ids;
};

TEST(Tokenizer, TalesKnownIds) {
  const Known known[] = {
      {"Hello world",
       {75, 510, 114, 917}},
      {"  leading and   many   spaces ",
       {35, 1944, 284, 281, 35, 35, 866, 35, 35, 529, 656, 287, 35}},
      {"tabs\t\tand\r\nnewlines\n\n\n x",
       {119, 660, 118, 12, 12, 426, 16, 13, 659, 122, 111, 1846, 300, 13, 35, 123}},
      {"1234567890 12.5% $3,000",
       {52, 53, 54, 55, 56, 57, 58, 59, 60, 51, 35, 52, 53, 49, 56, 40, 35, 39, 54, 47, 2857, 51}},
      {"don't I'll we've 'tis",
       {103, 280, 518, 302, 944, 347, 1439, 668, 119, 274}},
      {"naïve café résumé",
       {1377, 198, 178, 314, 1175, 105, 1378, 436, 1378, 118, 481, 1378}},
      {"日本語とカタカナ、漢字。",
       {233, 154, 168, 233, 159, 175, 235, 173, 161, 230, 132, 171, 230, 133, 174, 230, 133, 194, 230, 133, 174, 230, 134, 141, 230, 131, 132, 233, 191, 165, 232, 176, 154, 230, 131, 133}},
      {"混合mixed文字列123テスト",
       {233, 186, 186, 232, 147, 139, 112, 847, 276, 233, 153, 138, 232, 176, 154, 232, 139, 154, 52, 53, 54, 230, 134, 137, 230, 133, 188, 230, 134, 139}},
      {"emoji 😀👍🏽 zwj 👩\u200D👩\u200D👧",
       {451, 114, 109, 108, 35, 243, 162, 155, 131, 243, 162, 148, 144, 243, 162, 146, 192, 35, 125, 122, 109, 35, 243, 162, 148, 172, 2971, 144, 243, 162, 148, 172, 2971, 144, 243, 162, 148, 170}},
      {"ﬁ ligature Ⅻ ½ ٣٤٥",
       {242, 175, 132, 445, 106, 2227, 35, 229, 136, 174, 35, 197, 192, 35, 220, 166, 220, 167, 220, 168}},
      {" nbsp\u3000ideographic",
       {297, 101, 1571, 230, 131, 131, 532, 1078, 368, 1509, 309}},
      {"!?.,;:--- ...",
       {36, 66, 3448, 62, 61, 375, 48, 35, 1644}},
      {"<｜User｜>hi<｜Assistant｜>",
       {4092, 107, 108, 4093}},
      {"<think>a</think>b<｜User",
       {4094, 100, 4095, 101, 63, 242, 192, 159, 88, 1295}},
      {"foo.bar_baz->qux(1,2)\n    return x+1  # ok\n",
       {105, 364, 49, 101, 294, 98, 101, 1226, 48, 65, 408, 123, 43, 52, 47, 53, 44, 13, 35, 35, 35, 980, 35, 123, 46, 52, 35, 35, 38, 266, 110, 13}},
      {"ОченьДлинное עברית हिन्दी ไทย",
       {211, 161, 212, 138, 211, 184, 211, 192, 212, 143, 211, 151, 211, 190, 211, 187, 211, 192, 211, 192, 211, 193, 211, 184, 35, 218, 165, 218, 148, 218, 171, 218, 156, 218, 173, 35, 227, 167, 188, 227, 167, 194, 227, 167, 171, 227, 168, 144, 227, 167, 169, 227, 168, 131, 35, 227, 188, 135, 227, 187, 154, 227, 187, 165}},
      {"\n\n\r\n  \t x",
       {300, 16, 13, 35, 35, 12, 35, 123}},
      {"Once upon a time there was a princess who lived in a castle by the sea.",
       {3576, 622, 261, 580, 464, 322, 261, 1832, 1080, 419, 2266, 292, 261, 2018, 306, 400, 263, 1655, 49}},
  };
  for (const Known& k : known) {
    EXPECT_EQ(Encoded(k.text), k.ids) << k.text;
    EXPECT_EQ(*Tales().Decode(k.ids, SpecialTokens::kKeep), k.text);
  }
}

TEST(Tokenizer, VocabularyAndControlTokens) {
  EXPECT_EQ(Tales().vocabulary_size(), 4096);
  EXPECT_EQ(Tales().bos_id(), 0);
  EXPECT_EQ(Tales().eos_id(), 1);
  EXPECT_TRUE(Tales().add_bos());
  EXPECT_EQ(Tales().IdOf("<｜Assistant｜>"), 4093);
  EXPECT_EQ(Tales().IdOf("the"), std::nullopt) << "not an added token";
  EXPECT_TRUE(Tales().IsSpecial(4092));
  EXPECT_FALSE(Tales().IsSpecial(4094));
  EXPECT_FALSE(Tales().IsSpecial(4096));
  EXPECT_EQ(Tales().TokenBytes(4094), "<think>");
  EXPECT_EQ(Tales().TokenBytes(-1), "");
  EXPECT_EQ(Tales().TokenBytes(1 << 30), "");
}

TEST(Tokenizer, PromptGetsBosAsTheConfigSays) {
  EXPECT_EQ(*Tales().EncodePrompt("Hello"), (Ids{0, 75, 510, 114}));
  TokenizerConfig config = Tales().config();
  config.add_bos = false;
  const auto without = Tokenizer::FromJson(ReadFile(TalesDirectory() / "tokenizer.json"), config, {});
  ASSERT_TRUE(without.ok()) << without.status();
  EXPECT_EQ(*(*without)->EncodePrompt("Hello"), (Ids{75, 510, 114}));
}

TEST(Tokenizer, SpecialTokensCanBeLeftOut) {
  const Ids ids = Encoded("<｜User｜>hi<think>");
  EXPECT_EQ(*Tales().Decode(ids, SpecialTokens::kKeep), "<｜User｜>hi<think>");
  EXPECT_EQ(*Tales().Decode(ids, SpecialTokens::kSkip), "hi<think>");
}

TEST(Tokenizer, DecodeRefusesAnIdWithoutToken) {
  for (const int32_t id : {-1, 4096, std::numeric_limits<int32_t>::min()}) {
    EXPECT_EQ(Tales().Decode(Ids{5, id}, SpecialTokens::kKeep).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(Tokenizer, B49_PlainTextNeverBecomesAControlToken) {
  for (int32_t id : {0, 1, 2, 4092, 4093, 4094, 4095}) {
    const std::string content(Tales().TokenBytes(id));
    EXPECT_EQ(Encoded("a" + content + "b", AddedTokens::kMatch)[1], id);
    for (const std::string& text : {content, "x" + content, content + content, "<" + content, content.substr(1)}) {
      const Ids plain = Encoded(text, AddedTokens::kPlainText);
      for (const int32_t got : plain) EXPECT_EQ(Tales().IdOf(Tales().TokenBytes(got)), std::nullopt) << text;
      EXPECT_EQ(*Tales().Decode(plain, SpecialTokens::kSkip), text);
    }
  }
}

TEST(Tokenizer, B51_InvalidUtf8IsRefusedWithItsPlace) {
  const std::string_view invalid[] = {"\x80", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF", "\xE2\x82", "\xF0\x9F\x98"};
  for (const std::string_view bytes : invalid) {
    for (const AddedTokens added : {AddedTokens::kMatch, AddedTokens::kPlainText}) {
      const auto ids = Tales().Encode("valid é " + std::string(bytes) + "\x01 after", added);
      ASSERT_EQ(ids.status().code(), absl::StatusCode::kInvalidArgument);
      EXPECT_NE(ids.status().message().find("byte 9"), absl::string_view::npos) << ids.status();
    }
  }
}

TEST(Tokenizer, B51_OddButValidTextRoundTrips) {
  using std::string_literals::operator""s;
  for (const std::string& text : {"\0a\0\0b"s, "\uFEFFbom"s, "\u0378 unassigned \U000E0080"s, "\U0010FFFF\uFFFF"s, "\u202Eoverride"s, ""s}) {
    const Ids ids = Encoded(text);
    EXPECT_EQ(*Tales().Decode(ids, SpecialTokens::kKeep), text);
    EXPECT_EQ(Encoded(*Tales().Decode(ids, SpecialTokens::kKeep)), ids);
  }
}

TEST(Tokenizer, B52_RowsOfThePaddedVocabularyHaveNoToken) {
  EXPECT_TRUE(Tales().HasToken(0) && Tales().HasToken(4095));
  EXPECT_FALSE(Tales().HasToken(-1) || Tales().HasToken(4096));
}

}  // namespace
}  // namespace atoll::model
