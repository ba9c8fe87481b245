#include "router/inference/tool_use.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/grammar/tool_call_tags.h"

namespace atoll::router {
namespace {

std::optional<int32_t> NoToken(std::string_view) { return std::nullopt; }
std::optional<int32_t> AnyToken(std::string_view content) { return static_cast<int32_t>(content.size()); }

constexpr auto kStyle = model::ToolCallStyle::kDeepSeekV31;

ToolUse Use(ToolChoice choice) {
  return {.tools = {{.name = "f", .description = "", .parameters = R"({"type":"object","properties":{"a":{"type":"string","pattern":"x"}}})"},
                    {.name = "g", .description = "", .parameters = R"({"type":"object"})"}},
          .choice = choice, .named = "g", .parallel = true};
}

TEST(ToolUse, OfNoneAndOfAutoWithoutATokenAnyTextWillDo) {
  EXPECT_FALSE(ConstraintOfTools(Use(ToolChoice::kNone), kStyle, AnyToken)->has_value());
  EXPECT_FALSE(ConstraintOfTools(Use(ToolChoice::kAuto), kStyle, NoToken)->has_value());
  const auto constraint = ConstraintOfTools(Use(ToolChoice::kAuto), kStyle, AnyToken);
  ASSERT_TRUE(constraint.ok() && constraint->has_value()) << constraint.status();
  EXPECT_TRUE(std::get<model::ToolCallsOnly>((*constraint)->kind).optional);
}

TEST(ToolUse, RequiredOffersAllAndANameOne) {
  const auto required = std::get<model::ToolCallsOnly>((*ConstraintOfTools(Use(ToolChoice::kRequired), kStyle, NoToken))->kind);
  EXPECT_EQ(required.tools.size(), 2u);
  EXPECT_TRUE(required.several && !required.optional);
  const auto named = std::get<model::ToolCallsOnly>((*ConstraintOfTools(Use(ToolChoice::kNamed), kStyle, NoToken))->kind);
  ASSERT_EQ(named.tools.size(), 1u);
  EXPECT_EQ(named.tools[0].name, "g");
  EXPECT_FALSE(named.several);
}

TEST(ToolUse, ASchemaThatIsNotSupportedIsDroppedUnlessItIsStrict) {
  ToolUse use = Use(ToolChoice::kRequired);
  const auto lenient = std::get<model::ToolCallsOnly>((*ConstraintOfTools(use, kStyle, NoToken))->kind);
  EXPECT_EQ(lenient.tools[0].parameters, "");
  EXPECT_EQ(lenient.tools[1].parameters, R"({"type":"object"})");
  use.tools[0].strict = true;
  const auto strict = std::get<model::ToolCallsOnly>((*ConstraintOfTools(use, kStyle, NoToken))->kind);
  EXPECT_EQ(strict.tools[0].parameters, use.tools[0].parameters);
  use.tools[1].parameters = R"({"type":"thing"})";
  EXPECT_THAT(std::string(ConstraintOfTools(use, kStyle, NoToken).status().message()), testing::HasSubstr("parameters of the tool g: $: type"));
}

}  // namespace
}  // namespace atoll::router
