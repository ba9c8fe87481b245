// Ids as Hugging Face tokenizers computed them, where the reference files are at hand.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/tokenizer/test_tokenizers.h"

namespace atoll::model {
namespace {

using nlohmann::json;
using Ids = std::vector<int32_t>;

json Reference(const std::string& name) { return json::parse(ReadFile(SharedModels() / "reference" / name), nullptr, false); }

void ExpectReferenceIds(const Tokenizer& tokenizer, const std::string& name) {
  const json reference = Reference("tokenizer.json");
  const json& texts = reference["texts"];
  const json& ids = reference["ids"][name];
  ASSERT_EQ(texts.size(), ids.size());
  ASSERT_GT(texts.size(), 100u);
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::string text = texts[i].get<std::string>();
    const auto found = tokenizer.Encode(text, AddedTokens::kMatch);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(*found, ids[i].get<Ids>()) << "text " << i << ": " << texts[i];
    EXPECT_EQ(*tokenizer.Decode(*found, SpecialTokens::kKeep), text);
  }
}

TEST(Reference, TalesIdsAreHuggingFaces) {
  if (!std::filesystem::exists(SharedModels())) GTEST_SKIP() << "no reference files";
  ExpectReferenceIds(Tales(), "tales");
}

TEST(Reference, DeepSeekIdsAreHuggingFaces) {
  if (DeepSeek() == nullptr) GTEST_SKIP() << "no reference files";
  ExpectReferenceIds(*DeepSeek(), "deepseek_v3");
}

// Check 9 of the specification.
TEST(Reference, DeepSeekKnownStrings) {
  if (DeepSeek() == nullptr) GTEST_SKIP() << "no reference files";
  EXPECT_EQ(*DeepSeek()->Encode("Hello! 毕老师！1 + 1 = 2 ĠÑĤÐ²ÑĬÑĢ", AddedTokens::kMatch),
            (Ids{19923, 3,     223, 5464,  5008, 1175,  19,  940, 223,  19,    438, 223, 20,
                 6113,  257,   76589, 131, 100,  76032, 1628, 76589, 131, 108,   76589, 131, 98}));
  EXPECT_EQ(*DeepSeek()->Encode(" \n = Robert Boulter = \n \n Robert Boulter is an English film , television and theatre actor . "
                                "He had a guest @-@ starring role on the television series The Bill in 2000 . This was followed by",
                                AddedTokens::kMatch),
            (Ids{539,  438,  10498, 102771, 402, 438,   54921, 10498, 102771, 402,  344,  411,  3947, 5485, 1537, 15758, 305, 31085,
                 22491, 1204, 1166, 936,    260, 20521, 2390,  15,    34,     71132, 3615, 377, 270,  15758, 4923, 455,  10987, 295,
                 223,  792,  18,    1204,   1162, 515,  7128,  513}));
  for (const auto& [text, id] : {std::pair("你好", 30594), std::pair("推理", 36101), std::pair("答案", 7624),
                                 std::pair(" capital", 6102), std::pair("capital", 79666)}) {
    EXPECT_EQ(*DeepSeek()->Encode(text, AddedTokens::kMatch), Ids{id}) << text;
  }
}

TEST(Reference, DeepSeekControlTokens) {
  if (DeepSeek() == nullptr) GTEST_SKIP() << "no reference files";
  const Tokenizer& tokenizer = *DeepSeek();
  EXPECT_EQ(tokenizer.vocabulary_size(), 128815);
  EXPECT_EQ(tokenizer.bos_id(), 0);
  EXPECT_EQ(tokenizer.eos_id(), 1);
  EXPECT_FALSE(tokenizer.add_bos());
  EXPECT_EQ(tokenizer.IdOf("<｜User｜>"), 128803);
  EXPECT_FALSE(tokenizer.IsSpecial(128803));
  EXPECT_TRUE(tokenizer.IsSpecial(128805));
  EXPECT_EQ(tokenizer.TokenBytes(223), " ");
  EXPECT_EQ(tokenizer.TokenBytes(201), "\n");
}

TEST(Reference, LongTextRoundTrips) {
  const std::filesystem::path path = SharedModels() / "reference/long.txt";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no reference files";
  const std::string text = ReadFile(path);
  const Ids ids = *Tales().Encode(text, AddedTokens::kMatch);
  EXPECT_EQ(*Tales().Decode(ids, SpecialTokens::kKeep), text);
}

}  // namespace
}  // namespace atoll::model
