// Whatever is chosen among what the masks let through, a document comes of it that is valid.

#include <gtest/gtest.h>

#include "tests/grammar/schema_oracle.h"
#include "tests/grammar/schemas.h"
#include "tests/grammar/written_document.h"

namespace atoll::model::grammar {
namespace {

void WriteAndCheck(const Vocabulary& vocabulary, int seeds) {
  for (const char* schema : kSchemas) {
    const auto grammar = CompileSchema(schema, vocabulary);
    int complete = 0;
    for (int seed = 0; seed < seeds; ++seed) {
      const WrittenDocument document = Write(*grammar, vocabulary, static_cast<uint64_t>(seed), 400);
      ASSERT_EQ(document.stuck, "") << schema << " seed " << seed;
      if (!document.complete) continue;
      ++complete;
      ASSERT_EQ(WhyInvalid(schema, document.text), "") << schema << " seed " << seed;
    }
    EXPECT_GT(complete, seeds / 3) << schema;
  }
}

TEST(Document, IsValidWhateverIsChosenOfABundledVocabulary) { WriteAndCheck(TalesVocabulary(), 60); }

TEST(Document, IsValidWhateverIsChosenOfBytesAndTokensAcrossBorders) { WriteAndCheck(SmallVocabulary(), 200); }

TEST(Document, OfAnyObjectIsAnObjectOfBoundedDepth) {
  const auto grammar = CompileOrDie({.kind = JsonObject{}}, SmallVocabulary());
  int complete = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const WrittenDocument document = Write(*grammar, SmallVocabulary(), seed, 2000);
    ASSERT_EQ(document.stuck, "");
    if (!document.complete) continue;
    ++complete;
    ASSERT_EQ(WhyInvalid(R"({"type":"object"})", document.text), "");
  }
  EXPECT_GT(complete, 60);
}

TEST(Document, NestsNoDeeperThanTheStackAndStillEnds) {
  const auto grammar = CompileOrDie({.kind = JsonObject{}}, SmallVocabulary());
  Matcher matcher(*grammar);
  int depth = 0;
  while (matcher.TakeBytes("{\"a\":")) ++depth;
  EXPECT_EQ(depth, kFramesMax - 1);  // the innermost frame is left for a value
  EXPECT_FALSE(matcher.TakeBytes("{\""));
  EXPECT_FALSE(matcher.TakeBytes("[1"));
  ASSERT_TRUE(matcher.TakeBytes("1"));
  for (int i = 0; i < depth; ++i) ASSERT_TRUE(matcher.TakeBytes("}")) << i;
  EXPECT_TRUE(matcher.finished());
}

}  // namespace
}  // namespace atoll::model::grammar
