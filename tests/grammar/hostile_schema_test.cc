// Schemas that are made to cost: all are refused or compiled, and none grows without bound.

#include <gtest/gtest.h>

#include "model/grammar/matcher.h"
#include "model/grammar/schema/schema_json.h"
#include "tests/grammar/written_document.h"

namespace atoll::model::grammar {
namespace {

absl::StatusOr<std::shared_ptr<const Grammar>> Compile(const std::string& schema) { return Grammar::Compile({.kind = JsonSchema{schema}}, SmallVocabulary().control_tokens()); }

std::string Repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(HostileSchema, IsBoundedInSizeAndDepth) {
  EXPECT_FALSE(Compile("{\"description\":\"" + std::string(kSchemaBytesMax, 'x') + "\"}").ok());
  EXPECT_FALSE(Compile(Repeated("{\"items\":", 100) + "{}" + Repeated("}", 100)).ok());
  EXPECT_TRUE(Compile(Repeated("{\"items\":", 50) + "{}" + Repeated("}", 50)).ok());
  EXPECT_FALSE(Compile("[" + Repeated("[", 10000)).ok());
  std::string members;
  for (int i = 0; i <= 512; ++i) members += (i > 0 ? "," : "") + ("\"p" + std::to_string(i) + "\":{}");
  EXPECT_FALSE(Compile("{\"properties\":{" + members + "}}").ok());
  EXPECT_FALSE(Compile("{\"anyOf\":[" + Repeated("{\"type\":\"string\"},", 3600) + "{}]}").ok());
  EXPECT_FALSE(Compile(std::string("{}\0", 3)).ok());
}

// Every definition is two of the next: as many alternatives as there are, not two to the power of the definitions.
TEST(HostileSchema, DoublingAlternativesDoNotMultiply) {
  std::string definitions;
  for (int i = 0; i < 30; ++i) {
    const std::string next = "{\"$ref\":\"#/$defs/d" + std::to_string(i + 1) + "\"}";
    definitions += "\"d" + std::to_string(i) + "\":{\"anyOf\":[" + next + "," + next + "]},";
  }
  const auto grammar = Compile("{\"$ref\":\"#/$defs/d0\",\"$defs\":{" + definitions + "\"d30\":{\"type\":\"string\"}}}");
  ASSERT_TRUE(grammar.ok()) << grammar.status();
  Matcher matcher(**grammar);
  EXPECT_TRUE(matcher.TakeBytes("\"ab\""));
  EXPECT_TRUE(matcher.finished());
}

TEST(HostileSchema, DoublingObjectsHaveBoundedThreads) {
  std::string definitions;
  for (int i = 0; i < 30; ++i) {
    const std::string next = "{\"properties\":{\"a\":{\"$ref\":\"#/$defs/d" + std::to_string(i + 1) + "\"}},\"required\":[\"a\"]";
    definitions += "\"d" + std::to_string(i) + "\":{\"anyOf\":[" + next + "}," + next + ",\"additionalProperties\":true}]},";
  }
  const auto grammar = Compile("{\"$ref\":\"#/$defs/d0\",\"$defs\":{" + definitions + "\"d30\":{\"type\":\"null\"}}}");
  ASSERT_TRUE(grammar.ok()) << grammar.status();
  Matcher matcher(**grammar);
  for (int i = 0; i < 30; ++i) {
    ASSERT_TRUE(matcher.TakeBytes("{\"a\":")) << i;
    EXPECT_LE(matcher.threads().size(), kThreadsMax);
  }
  EXPECT_TRUE(matcher.TakeBytes("null" + Repeated("}", 30)));
  EXPECT_TRUE(matcher.complete());
}

TEST(HostileSchema, ALongChainOfNamesIsRefused) {
  std::string definitions;
  for (int i = 0; i < 200; ++i) definitions += "\"d" + std::to_string(i) + "\":{\"$ref\":\"#/$defs/d" + std::to_string(i + 1) + "\"},";
  EXPECT_FALSE(Compile("{\"$ref\":\"#/$defs/d0\",\"$defs\":{" + definitions + "\"d200\":{}}}").ok());
}

// All pairs of alternatives, in each of them all pairs of values.
TEST(HostileSchema, AlternativesThatTakeLongToTellApartAreRefused) {
  const auto one_of = [](int alternatives, int values) {
    std::string list;
    for (int i = 0; i < alternatives; ++i) {
      list += i > 0 ? ",{\"enum\":[" : "{\"enum\":[";
      for (int k = 0; k < values; ++k) list += (k > 0 ? ",\"" : "\"") + std::to_string(i * values + k) + "\"";
      list += "]}";
    }
    return "{\"oneOf\":[" + list + "]}";
  };
  EXPECT_TRUE(Compile(one_of(20, 100)).ok());
  EXPECT_TRUE(absl::IsUnimplemented(Compile(one_of(20, 300)).status()));
}

TEST(HostileSchema, RecursionEndsWhereTheStackDoes) {
  const auto grammar = Compile(R"({"type":"array","items":{"$ref":"#"}})");
  ASSERT_TRUE(grammar.ok()) << grammar.status();
  Matcher matcher(**grammar);
  int depth = 0;
  while (matcher.TakeBytes("[")) ++depth;
  EXPECT_EQ(depth, kFramesMax);
  EXPECT_TRUE(matcher.TakeBytes(Repeated("]", depth)));
  EXPECT_TRUE(matcher.finished());
}

TEST(HostileSchema, HugeCountsAndBoundsAreNumbersLikeOthers) {
  EXPECT_TRUE(Compile(R"({"type":"array","minItems":1048576})").ok());
  EXPECT_FALSE(Compile(R"({"type":"array","minItems":1e300})").ok());
  EXPECT_TRUE(Compile(R"({"type":"integer","minimum":-1e300,"maximum":1e300})").ok());
  EXPECT_FALSE(Compile(R"({"type":"integer","minimum":1e300})").ok());
  EXPECT_FALSE(Compile(R"({"type":"integer","maximum":-1e300})").ok());
}

}  // namespace
}  // namespace atoll::model::grammar
