#include "model/tokenizer/detokenizer.h"

#include <gtest/gtest.h>

#include <random>

#include "base/utf8.h"
#include "tests/tokenizer/test_tokenizers.h"

namespace atoll::model {
namespace {

using Ids = std::vector<int32_t>;

TEST(Detokenizer, HoldsBackAnUnfinishedCharacter) {
  const Ids ids = *Tales().Encode("a😀", AddedTokens::kMatch);
  ASSERT_GT(ids.size(), 2u) << "the emoji must be several tokens for this test";
  Detokenizer detokenizer(Tales(), SpecialTokens::kKeep);
  EXPECT_EQ(detokenizer.Append(ids[0]), "a");
  for (size_t i = 1; i + 1 < ids.size(); ++i) EXPECT_EQ(detokenizer.Append(ids[i]), "");
  EXPECT_EQ(detokenizer.Append(ids.back()), "😀");
  EXPECT_EQ(detokenizer.Flush(), "");
}

TEST(Detokenizer, FlushReplacesTheUnfinishedCharacterOnce) {
  const Ids ids = *Tales().Encode("😀", AddedTokens::kMatch);
  Detokenizer detokenizer(Tales(), SpecialTokens::kKeep);
  detokenizer.Append(ids[0]);
  EXPECT_EQ(detokenizer.Flush(), kReplacementCharacter);
  EXPECT_EQ(detokenizer.Flush(), "");
}

TEST(Detokenizer, LeavesSpecialTokensOutWhenAsked) {
  Detokenizer detokenizer(Tales(), SpecialTokens::kSkip);
  EXPECT_EQ(detokenizer.Append(4093), "");
  EXPECT_EQ(detokenizer.Append(4094), "<think>") << "not a special token";
  EXPECT_EQ(detokenizer.Append(9999), "") << "no token";
}

// Whatever ids come, byte tokens in any order included: the stream's text is the text of the whole.
TEST(Detokenizer, ConcatenationIsDecode) {
  std::mt19937 random(7);
  for (int round = 0; round < 4000; ++round) {
    const SpecialTokens special = round % 2 == 0 ? SpecialTokens::kKeep : SpecialTokens::kSkip;
    const int32_t ids_end = round % 3 == 0 ? Tales().vocabulary_size() : 259;  // the single bytes lie below 259
    Detokenizer detokenizer(Tales(), special);
    std::string text;
    Ids ids;
    for (size_t length = random() % 24; length > 0; --length) {
      ids.push_back(static_cast<int32_t>(random() % static_cast<uint32_t>(ids_end)));
      const std::string part = detokenizer.Append(ids.back());
      EXPECT_EQ(FirstInvalidUtf8(part), part.size()) << "whole characters only";
      text += part;
    }
    text += detokenizer.Flush();
    ASSERT_EQ(text, *Tales().Decode(ids, special)) << "round " << round;
  }
}

}  // namespace
}  // namespace atoll::model
