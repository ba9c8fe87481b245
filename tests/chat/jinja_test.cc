// The interpreter's rules, each as Jinja 3.1 with trim_blocks and lstrip_blocks has it.

#include <gtest/gtest.h>

#include "model/chat/jinja/evaluator.h"
#include "model/chat/jinja/parser.h"

namespace atoll::model::jinja {
namespace {

Value TextOf(std::string_view text) { return Value::Of(Text::Of(text, Origin::kData)); }

Map Globals() {
  Map first{{"role", TextOf("user")}, {"content", TextOf("a::b::c")}};
  Map second{{"role", TextOf("assistant")}, {"content", Value::OfNone()}, {"n", Value::Of(int64_t{7})}};
  return {{"list", Value::Of(List{Value::Of(first), Value::Of(second)})}, {"yes", Value::Of(true)}, {"text", TextOf("t")}};
}

absl::StatusOr<Text> RunTemplate(std::string_view source, const EvaluationLimits& limits = {}) {
  ATOLL_ASSIGN_OR_RETURN(const Body body, ParseTemplate(source));
  return Render(body, Globals(), limits);
}

std::string Printed(std::string_view source) {
  const absl::StatusOr<Text> text = RunTemplate(source);
  return text.ok() ? text->bytes : "error: " + std::string(text.status().message());
}

TEST(Jinja, WhitespaceAroundTags) {
  EXPECT_EQ(Printed("a\n  {% if yes %}\n  b\n  {% endif %}\nc\n"), "a\n  b\nc");
  EXPECT_EQ(Printed("a {%- if yes -%}  b  {%- endif -%}  c"), "abc");
  EXPECT_EQ(Printed("a\n  {%+ if yes +%}\nb{% endif %}"), "a\n  \nb");
  EXPECT_EQ(Printed("a\n  {{ text }}\n  b"), "a\n  t\n  b") << "a print tag keeps the line";
  EXPECT_EQ(Printed("a  {{- text -}}  b"), "atb");
  EXPECT_EQ(Printed("x {# c #}\ny{#- c -#} z"), "x yz");
  EXPECT_EQ(Printed("{% if yes %}  {% endif %}x"), "  x") << "two tags on one line";
  EXPECT_EQ(Printed("a\r\nb\r\n\r\n"), "a\nb\n");
  EXPECT_EQ(Printed("{ { a } } { %"), "{ { a } } { %");
}

TEST(Jinja, LoopsAndScopes) {
  EXPECT_EQ(Printed("{% for m in list %}{{ loop.index }}{{ m.role }}{% if not loop.last %}, {% endif %}{% endfor %}"), "1user, 2assistant");
  EXPECT_EQ(Printed("{% for m in list if m['role'] == 'assistant' %}{{ loop.first }}{{ loop.last }}{{ m.n }}{% endfor %}"), "TrueTrue7");
  EXPECT_EQ(Printed("{% set a = 'x' %}{% for m in list %}{% set a = 'y' %}{{ a }}{% endfor %}{{ a }}"), "yyx");
  EXPECT_EQ(Printed("{% set n = namespace(a='') %}{% for m in list %}{% set n.a = n.a + m.role %}{% endfor %}{{ n.a }}"), "userassistant");
  EXPECT_EQ(Printed("{% if yes %}{% set a = 'in' %}{% endif %}{{ a }}"), "in");
  EXPECT_EQ(Printed("{% for m in absent %}x{% endfor %}"), "");
  EXPECT_EQ(Printed("{% for m in (list if yes else absent) %}x{% endfor %}"), "xx");
}

TEST(Jinja, ConditionsAndPrecedence) {
  EXPECT_EQ(Printed("{{ not yes or yes and not absent }}"), "True");
  EXPECT_EQ(Printed("{{ 'a' == 'a' and 'b' != 'a' }}"), "True");
  EXPECT_EQ(Printed("{{ 'q' + 'a' in 'xqa' }}{{ 'z' not in 'abc' }}{{ 'n' in list[1] }}{{ 'n' in list[0] }}"), "TrueTrueTrueFalse");
  EXPECT_EQ(Printed("{{ absent is defined }}{{ list[1].content is none }}{{ text is not none }}{{ text is string }}"), "FalseTrueTrueTrue");
  EXPECT_EQ(Printed("{{ '' or 'fallback' }}{{ text and 'second' }}"), "fallbacksecond");
  EXPECT_EQ(Printed("{{ 'a' if yes else 'b' }}{{ 'a' if absent else 'b' if absent else 'c' }}[{{ 'a' if absent }}]"), "ac[]");
  EXPECT_EQ(Printed("{% if absent %}1{% elif text == 'u' %}2{% elif yes %}3{% else %}4{% endif %}"), "3");
}

TEST(Jinja, TextsAndLists) {
  EXPECT_EQ(Printed("{{ list[0].content.split('::')[-1] }}{{ list[0]['content'].split('::', 1)[1] }}"), "cb::c");
  EXPECT_EQ(Printed("[{{ list[5] }}{{ absent }}{{ list[0].absent }}]{{ none }}{{ true }}{{ 12 }}"), "[]NoneTrue12");
  EXPECT_EQ(Printed("{{ 'a\\n' ~ \"b\\\"'\" + '\\\\' }}"), "a\nb\"'\\");
  EXPECT_EQ(Printed("{{ list[-1].role }}"), "assistant");
}

TEST(Jinja, OriginsSurviveJoiningAndSplitting) {
  const auto text = RunTemplate("{{ ('<' + list[0].content + '>').split('::')[2] }}");
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(text->bytes, "c>");
  EXPECT_EQ(text->origins, "dt");
}

TEST(Jinja, WhatDoesNotFitIsAnError) {
  EXPECT_EQ(Printed("{{ 'a' + list[1]['content'] }}"), "error: chat template: expected texts to join, found none in content");
  EXPECT_EQ(Printed("{{ absent.x }}"), "error: chat template: \"x\" of something undefined");
  EXPECT_EQ(Printed("{{ raise_exception('roles must alternate') }}"), "error: chat template: roles must alternate");
  for (const char* source : {"{{ 'a' + 1 }}", "{{ list['a'][1] }}", "{{ 'x'.split('') }}", "{{ 'x' in none }}", "{% for c in 'abc' %}{% endfor %}",
                             "{% set text.a = 1 %}", "{{ text[0] }}", "{{ 'x'.split('x', 'y') }}"}) {
    EXPECT_EQ(RunTemplate(source).status().code(), absl::StatusCode::kInvalidArgument) << source;
  }
}

TEST(Jinja, NestingIsBounded) {
  std::string deep = "1";
  deep.insert(0, 100'000, '(');
  EXPECT_EQ(RunTemplate("{{ " + deep).status().code(), absl::StatusCode::kInvalidArgument);
  std::string blocks;
  for (int i = 0; i < 100'000; ++i) blocks += "{% if yes %}";
  EXPECT_EQ(RunTemplate(blocks).status().code(), absl::StatusCode::kInvalidArgument);
  std::string links = "{{ a";
  for (int i = 0; i < 100'000; ++i) links += ".a";
  EXPECT_EQ(RunTemplate(links + " }}").status().code(), absl::StatusCode::kInvalidArgument);
  std::string negations = "{{ ";
  for (int i = 0; i < 100'000; ++i) negations += "not ";
  EXPECT_EQ(Printed(negations + "yes }}"), "True") << "a row of nots is no nesting";
}

TEST(Jinja, CostIsBounded) {
  std::string doubling = "{% set n = namespace(a='0123456789') %}";
  for (int i = 0; i < 60; ++i) doubling += "{% set n.a = n.a + n.a %}";
  EXPECT_EQ(RunTemplate(doubling, {.bytes_made_max = 1 << 20}).status().code(), absl::StatusCode::kResourceExhausted);
  std::string loops;
  for (int i = 0; i < 20; ++i) loops += "{% for a in list %}";
  for (int i = 0; i < 20; ++i) loops += "{% endfor %}";
  EXPECT_EQ(RunTemplate(loops, {.steps_max = 1000}).status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace atoll::model::jinja
