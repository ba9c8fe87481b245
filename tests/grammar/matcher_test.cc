#include "model/grammar/matcher.h"

#include <gtest/gtest.h>

#include "tests/grammar/written_document.h"

namespace atoll::model::grammar {
namespace {

// "": taken whole; else what was taken before it stopped.
std::string Takes(const std::string& schema, const std::string& document) {
  const auto grammar = CompileSchema(schema, SmallVocabulary());
  Matcher matcher(*grammar);
  for (size_t i = 0; i < document.size(); ++i) {
    if (!matcher.TakeBytes(document.substr(i, 1))) return "stopped after " + document.substr(0, i);
  }
  return matcher.complete() ? "" : "not complete";
}

struct Case {
  const char* schema;
  const char* taken;
  const char* refused;
};

TEST(Matcher, TakesWhatIsValidAndStopsWhereItIsNot) {
  const Case cases[] = {
      {R"({"type":"string"})", R"("a\n\u00e9\"é\ud7ff")", R"("\ud800")"},
      {R"({"type":"string"})", "\"\xF0\x9F\xA6\x8A\"", "\"\xC0\x80\""},
      {R"({"type":"string"})", R"("")", "\"\n\""},
      {R"({"type":"string","minLength":2,"maxLength":3})", R"("é\u0041z")", R"("a")"},
      {R"({"type":"string","maxLength":1})", R"("\\")", R"("ab")"},
      {R"({"type":"integer"})", "-9007199254740991", "9007199254740992"},
      {R"({"type":"integer"})", "0", "01"},
      {R"({"type":"integer"})", "-1", "-0"},
      {R"({"type":"integer","minimum":17,"maximum":423})", "400", "424"},
      {R"({"type":"integer","minimum":17,"maximum":423})", "17", "5"},
      {R"({"type":"integer","minimum":17,"maximum":423})", "99", "1000"},
      {R"({"type":"integer","exclusiveMaximum":-2.5,"minimum":-40})", "-3", "-2"},
      {R"({"type":"integer","exclusiveMinimum":4,"maximum":6.9})", "6", "4"},
      {R"({"type":"number"})", "-0.5e-07", "-.5"},
      {R"({"type":"number"})", "1E+9", "1.e9"},
      {R"({"type":"number","minimum":0})", "0.25", "-1"},
      {R"({"enum":["a","ab",1,12]})", "12", "2"},
      {R"({"enum":["a","ab",1,12]})", R"("ab")", R"("b")"},
      {R"({"const":{"a":[1,"x"]}})", R"({"a":[1,"x"]})", R"({"a": [1,"x"]})"},
      {R"({"type":["null","boolean"]})", "null", "nul "},
      {R"({"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":2})", "[1, 2 ]", "[]"},
      {R"({"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":2})", "[ 1]", "[1,2,"},
      {R"({"type":"array","items":false})", "[ ]", "[1"},
      {R"({"type":"object","properties":{"a":{},"b":{}},"required":["b"]})", R"({"b":{"any":[true]}})", R"({"a":1})"},
      {R"({"type":"object","properties":{"a":{},"b":{}},"required":["b"]})", "{\n  \"a\": 1,\n  \"b\": 2\n}", R"({"b":1,"a")"},
      {R"({"type":"object","properties":{"a":{},"b":{}},"required":["b"]})", R"({"a":1,"b":1})", R"({"c")"},
      {R"({"type":"object","properties":{"a":{"type":"null"}},"additionalProperties":{"type":"integer"}})", R"({"a":null,"ab":1,"b":2})", R"({"b":2,"a")"},
      {R"({"type":"object","properties":{"a":{"type":"null"}},"additionalProperties":{"type":"integer"}})", R"({"é":1})", R"({"\u0061")"},
      {R"({"properties":{"q\"":{"type":"null"}},"required":["q\""]})", R"({"q\"":null})", R"({"q")"},
      {R"({"required":["z"]})", R"({"z":[]})", R"({})"},
      {R"({"anyOf":[{"type":"string","maxLength":1},{"type":"string","minLength":3}]})", R"("abc")", R"("ab")"},
      {R"({"type":"integer","nullable":true})", "null", "true"},
      {R"({"allOf":[{"$ref":"#/$defs/a~1b"}],"$defs":{"a/b":{"const":7}}})", "7", "8"},
      {"true", "[{}]", "x"},
      {"{}", "-1", "-a"},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(Takes(one.schema, one.taken), "") << one.schema << " " << one.taken;
    EXPECT_NE(Takes(one.schema, one.refused), "") << one.schema << " " << one.refused;
  }
}

TEST(Matcher, BlanksAreFewAndNewlinesComeFirst) {
  const char* schema = R"({"type":"array","items":{"type":"null"}})";
  EXPECT_EQ(Takes(schema, "[\n\n    null,\n    null\n]"), "");
  EXPECT_NE(Takes(schema, "[\n\n\nnull]"), "");
  EXPECT_NE(Takes(schema, "[ \nnull]"), "");
  EXPECT_EQ(Takes(schema, "[" + std::string(32, ' ') + "null]"), "");
  EXPECT_NE(Takes(schema, "[" + std::string(33, ' ') + "null]"), "");
  EXPECT_NE(Takes(schema, " []"), "");
}

TEST(Matcher, ARefusedTokenChangesNothing) {
  const auto grammar = CompileSchema(R"({"type":"array","items":{"type":"integer"}})", SmallVocabulary());
  Matcher matcher(*grammar);
  ASSERT_TRUE(matcher.TakeBytes("[12"));
  EXPECT_FALSE(matcher.TakeBytes(",x"));
  EXPECT_FALSE(matcher.TakeControl(5));
  EXPECT_TRUE(matcher.TakeBytes("3]"));
  EXPECT_TRUE(matcher.finished());
  EXPECT_FALSE(matcher.TakeBytes(" "));
}

TEST(Matcher, HasThreadsOnlyWhereReadingsDiffer) {
  const auto grammar = CompileSchema(R"({"anyOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},
                                               {"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}]})", SmallVocabulary());
  Matcher matcher(*grammar);
  ASSERT_TRUE(matcher.TakeBytes("{\"a\":"));
  EXPECT_EQ(matcher.threads().size(), 2u);
  ASSERT_TRUE(matcher.TakeBytes("1"));
  EXPECT_EQ(matcher.threads().size(), 1u);
}

TEST(Matcher, CopiesGoTheirOwnWays) {
  const auto grammar = CompileSchema(R"({"enum":["aa","ab"]})", SmallVocabulary());
  Matcher one(*grammar);
  ASSERT_TRUE(one.TakeBytes("\"a"));
  Matcher other = one;
  EXPECT_TRUE(one.TakeBytes("a\""));
  EXPECT_TRUE(other.TakeBytes("b\""));
  EXPECT_TRUE(one.finished() && other.finished());
}

}  // namespace
}  // namespace atoll::model::grammar
