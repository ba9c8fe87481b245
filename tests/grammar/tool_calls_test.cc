// Calls of tools as grammars: with control tokens, and as text where a vocabulary has none.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/grammar/tool_call_tags.h"
#include "tests/grammar/schema_oracle.h"
#include "tests/grammar/written_document.h"

namespace atoll::model::grammar {
namespace {

const ToolCallsOnly kTools{.style = ToolCallStyle::kDeepSeekV31,
                           .tools = {{"get_weather", R"({"type":"object","properties":{"city":{"type":"string","maxLength":6}},"required":["city"]})"},
                                     {"get", ""},
                                     {"add", R"({"type":"object","properties":{"a":{"type":"integer","minimum":0,"maximum":9}},"required":["a"]})"}}};

// Text with tags, token by token where the vocabulary has the tag.
bool TakesAll(const Constraint& constraint, const Vocabulary& vocabulary, std::string_view text, bool* finished) {
  const auto grammar = CompileOrDie(constraint, vocabulary);
  Matcher matcher(*grammar);
  while (!text.empty()) {
    bool is_tag = false;
    for (const std::string_view tag : {kToolCallsBegin, kToolCallsEnd, kToolCallBegin, kToolCallEnd, kToolSeparator}) {
      if (!text.starts_with(tag) || !vocabulary.ControlId(tag)) continue;
      is_tag = true;
      if (!matcher.TakeControl(*vocabulary.ControlId(tag))) return false;
      text.remove_prefix(tag.size());
      break;
    }
    if (is_tag) continue;
    if (!matcher.TakeBytes(text.substr(0, 1))) return false;
    text.remove_prefix(1);
  }
  *finished = matcher.finished();
  return true;
}

const std::string kOneV31 = "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>add<｜tool▁sep｜>{\"a\":3}<｜tool▁call▁end｜><｜tool▁calls▁end｜>";
const std::string kTwoV31 = "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{\"city\":\"Rom\"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>";
const std::string kTwoV3 =
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get\n```json\n{\"x\": [1]}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>add\n```json\n{\"a\":3}\n```"
    "<｜tool▁call▁end｜><｜tool▁calls▁end｜>";

TEST(ToolCalls, AreTakenInTheFormOfEachModel) {
  for (const Vocabulary* vocabulary : {&SmallVocabulary(), &TalesVocabulary()}) {
    bool finished = false;
    EXPECT_TRUE(TakesAll({.kind = kTools}, *vocabulary, kOneV31, &finished) && finished);
    EXPECT_TRUE(TakesAll({.kind = kTools}, *vocabulary, kTwoV31, &finished) && finished);
    ToolCallsOnly v3 = kTools;
    v3.style = ToolCallStyle::kDeepSeekV3;
    EXPECT_TRUE(TakesAll({.kind = v3}, *vocabulary, kTwoV3, &finished) && finished);
    EXPECT_FALSE(TakesAll({.kind = v3}, *vocabulary, kOneV31, &finished));
    ToolCallsOnly one = kTools;
    one.several = false;
    EXPECT_TRUE(TakesAll({.kind = one}, *vocabulary, kOneV31, &finished) && finished);
    EXPECT_FALSE(TakesAll({.kind = one}, *vocabulary, kTwoV31, &finished));
    EXPECT_FALSE(TakesAll({.kind = kTools}, *vocabulary, "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>sub", &finished));
  }
}

TEST(ToolCalls, ATagIsItsTokenAndNeverItsText) {
  const auto grammar = CompileOrDie({.kind = kTools}, SmallVocabulary());
  Matcher matcher(*grammar);
  EXPECT_FALSE(matcher.TakeBytes("<"));
  EXPECT_TRUE(matcher.TakeControl(*SmallVocabulary().ControlId(kToolCallsBegin)));
  EXPECT_FALSE(matcher.TakeControl(*SmallVocabulary().ControlId(kToolSeparator)));
}

TEST(ToolCalls, WrittenAtRandomHaveKnownNamesAndValidArguments) {
  for (const ToolCallStyle style : {ToolCallStyle::kDeepSeekV3, ToolCallStyle::kDeepSeekV31}) {
    ToolCallsOnly calls = kTools;
    calls.style = style;
    const auto grammar = CompileOrDie({.kind = calls}, SmallVocabulary());
    int complete = 0;
    for (uint64_t seed = 0; seed < 100; ++seed) {
      const WrittenDocument document = Write(*grammar, SmallVocabulary(), seed, 600);
      ASSERT_EQ(document.stuck, "");
      complete += document.complete;
    }
    EXPECT_GT(complete, 30);
  }
}

TEST(ToolCalls, OptionalOnesBeginAtTheirTokenAndMayBeLeftOut) {
  ToolCallsOnly optional = kTools;
  optional.optional = true;
  const auto grammar = CompileOrDie({.kind = optional, .after_thinking = true}, SmallVocabulary());
  ASSERT_EQ(grammar->gates().size(), 2u);
  EXPECT_EQ(grammar->gates()[0].token, *SmallVocabulary().ControlId(kThinkingEnd));
  EXPECT_FALSE(grammar->gates()[0].may_end);
  EXPECT_TRUE(grammar->gates()[1].may_end);
  Matcher matcher(*grammar);
  EXPECT_NE(matcher.gate(), nullptr);
  EXPECT_FALSE(matcher.complete());
  matcher.PassGate();
  matcher.PassGate();
  EXPECT_EQ(matcher.gate(), nullptr);
  EXPECT_TRUE(matcher.TakeControl(*SmallVocabulary().ControlId(kToolCallBegin)));
}

TEST(ToolCalls, AreRefusedByName) {
  const auto refused = [](const ToolCallsOnly& calls, const Vocabulary& vocabulary) { return Grammar::Compile({.kind = calls}, vocabulary.control_tokens()).status().ToString(); };
  ToolCallsOnly calls = kTools;
  calls.tools[0].parameters = R"({"type":"object","properties":{"a":{"type":"string","pattern":"x"}}})";
  EXPECT_THAT(refused(calls, SmallVocabulary()), testing::HasSubstr("parameters of the tool get_weather: $.properties.a: the keyword \"pattern\""));
  calls.tools[0].parameters = R"({"type":"array"})";
  EXPECT_THAT(refused(calls, SmallVocabulary()), testing::HasSubstr("expected the schema of an object"));
  calls = kTools;
  calls.tools[1].name = "add";
  EXPECT_THAT(refused(calls, SmallVocabulary()), testing::HasSubstr("the name add comes twice"));
  EXPECT_THAT(refused({}, SmallVocabulary()), testing::HasSubstr("expected 1 to 128, found 0"));
  calls = kTools;
  calls.optional = true;
  EXPECT_THAT(refused(calls, TalesVocabulary()), testing::HasSubstr("has no token <｜tool▁calls▁begin｜>"));
}

}  // namespace
}  // namespace atoll::model::grammar
