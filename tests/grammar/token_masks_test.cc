#include "model/grammar/tokens/token_masks.h"

#include <gtest/gtest.h>

#include "tests/grammar/schemas.h"
#include "tests/grammar/written_document.h"

namespace atoll::model::grammar {
namespace {

bool Takes(Matcher matcher, const Vocabulary& vocabulary, int32_t token) {
  if (vocabulary.IsControl(token)) return matcher.TakeControl(token);
  return matcher.TakeBytes(vocabulary.BytesOf(token));
}

// The mask, made by walks and kept by canonical threads, against every token by itself.
void CompareWithEveryToken(const Grammar& grammar, const Vocabulary& vocabulary, uint64_t seed, int tokens) {
  int compared = 0;
  (void)Write(grammar, vocabulary, seed, tokens, [&](const Matcher& matcher, const TokenMask& mask) {
    for (int32_t token = 0; token < static_cast<int32_t>(vocabulary.size()); ++token) {
      ASSERT_EQ(HasToken(token, mask), Takes(matcher, vocabulary, token)) << "token " << token << " at " << compared << ", seed " << seed;
    }
    ++compared;
  });
  EXPECT_GT(compared, 0);
}

TEST(TokenMasks, AreWhatTheAutomatonTakes) {
  for (const char* schema : kSchemas) {
    const auto small = CompileSchema(schema, SmallVocabulary());
    for (uint64_t seed = 0; seed < 12; ++seed) CompareWithEveryToken(*small, SmallVocabulary(), seed, 80);
    const auto tales = CompileSchema(schema, TalesVocabulary());
    CompareWithEveryToken(*tales, TalesVocabulary(), 3, 20);
  }
  const auto object = CompileOrDie({.kind = JsonObject{}}, TalesVocabulary());
  for (uint64_t seed = 0; seed < 3; ++seed) CompareWithEveryToken(*object, TalesVocabulary(), seed, 20);
}

TEST(TokenMasks, FarFromALimitAreTheSameAndNearItAreNot) {
  const Vocabulary& vocabulary = SmallVocabulary();
  const auto grammar = CompileSchema(R"({"type":"string","minLength":600,"maxLength":1200})", vocabulary);
  TokenMasks masks(vocabulary);
  Matcher matcher(*grammar);
  ASSERT_TRUE(matcher.TakeBytes("\""));
  TokenMask mask(vocabulary.mask_words());
  for (int characters = 0; characters <= 1200; ++characters) {
    masks.Fill(matcher, 1, {}, mask);
    ASSERT_EQ(mask, masks.Make(*grammar, matcher.threads()[0])) << characters;
    EXPECT_EQ(HasToken('"', mask), characters >= 600);
    EXPECT_EQ(HasToken('a', mask), characters < 1200);
    ASSERT_EQ(matcher.TakeBytes("x"), characters < 1200);
  }
}

TEST(TokenMasks, HaveEndsOnlyWhereTheTextIsComplete) {
  const Vocabulary& vocabulary = SmallVocabulary();
  const auto grammar = CompileSchema(R"({"type":"integer","minimum":5,"maximum":500})", vocabulary);
  TokenMasks masks(vocabulary);
  Matcher matcher(*grammar);
  TokenMask mask(vocabulary.mask_words());
  const int32_t end = *vocabulary.ControlId("</think>");
  const auto has_end = [&] {
    masks.Fill(matcher, 1, {&end, 1}, mask);
    return HasToken(end, mask);
  };
  EXPECT_FALSE(has_end());
  ASSERT_TRUE(matcher.TakeBytes("1"));
  EXPECT_FALSE(has_end());
  ASSERT_TRUE(matcher.TakeBytes("2"));
  EXPECT_TRUE(has_end());
  EXPECT_FALSE(matcher.finished());
  ASSERT_TRUE(matcher.TakeBytes("0"));
  EXPECT_TRUE(matcher.finished());
}

TEST(TokenMasks, AreBoundedInNumber) {
  const Vocabulary& vocabulary = SmallVocabulary();
  const auto grammar = CompileSchema(R"({"type":"string"})", vocabulary);
  TokenMasks masks(vocabulary);
  TokenMask mask(vocabulary.mask_words()), first(vocabulary.mask_words());
  const Matcher matcher(*grammar);
  masks.Fill(matcher, 0, {}, first);
  for (uint64_t number = 1; number < 3 * kMasksKept; ++number) {
    masks.Fill(matcher, number, {}, mask);
    ASSERT_EQ(mask, first);
    ASSERT_LE(masks.kept(), 2 * kMasksKept);
  }
}

}  // namespace
}  // namespace atoll::model::grammar
