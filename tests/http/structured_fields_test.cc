// response_format, tools and what answers say of calls.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error_info.h"
#include "router/http/api/answer_text.h"
#include "router/http/api/api_call.h"
#include "router/http/json/json_text.h"

namespace atoll::router::http {
namespace {

std::string SchemaOf(const absl::StatusOr<ApiCall>& api) {
  if (!api.ok() || !api->calls[0].constraint) return "none";
  const auto* schema = std::get_if<model::JsonSchema>(&api->calls[0].constraint->kind);
  return schema == nullptr ? "an object" : schema->text;
}

std::string Completion(const std::string& fields) {
  const std::string body = R"({"prompt":"a",)" + fields + "}";
  return SchemaOf(ReadCompletionCall(Json::parse(body), body));
}

absl::StatusOr<ApiCall> Chat(const std::string& fields) {
  const std::string body = R"({"messages":[{"role":"user","content":"a"}],)" + fields + "}";
  return ReadChatCall(Json::parse(body), body);
}

TEST(JsonTextTest, FindsMembersAsTheyWereWritten) {
  const std::string text = R"( { "a" : [ 1, {"x]":"}"}, "\\\"" ] , "\u0062" : {"z":1,"y":  2 } , "c":-1.5e3,"d":null})";
  ASSERT_TRUE(Json::accept(text));
  EXPECT_EQ(MemberText(text, "a"), R"([ 1, {"x]":"}"}, "\\\"" ])");
  EXPECT_EQ(MemberText(text, "b"), R"({"z":1,"y":  2 })");
  EXPECT_EQ(TextAtPath(text, {"b", "y"}), "2");
  EXPECT_EQ(MemberText(text, "c"), "-1.5e3");
  EXPECT_EQ(MemberText(text, "d"), "null");
  EXPECT_EQ(MemberText(text, "e"), std::nullopt);
  EXPECT_EQ(MemberText("[1]", "a"), std::nullopt);
  EXPECT_EQ(MemberText("{}", "a"), std::nullopt);
  const std::vector<std::string_view> elements = ElementTexts(*MemberText(text, "a"));
  ASSERT_EQ(elements.size(), 3u);
  EXPECT_EQ(elements[0], "1");
  EXPECT_EQ(elements[1], R"({"x]":"}"})");
  EXPECT_TRUE(ElementTexts("[ ]").empty());
  EXPECT_TRUE(ElementTexts("{}").empty());
}

TEST(JsonTextTest, ComesToAnEndWhateverItReads) {
  const std::string text = R"({"a":[1,{"b":"\\"}],"c":2})";
  for (size_t length = 0; length <= text.size(); ++length) {
    (void)MemberText(text.substr(0, length), "c");
    (void)ElementTexts("[" + text.substr(0, length));
  }
}

TEST(ResponseFormatTest, KeepsTheOrderOfASchema) {
  const std::string schema = R"({"type":"object","properties":{"z":{},"a":{}}})";
  EXPECT_EQ(Completion(R"("response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":)" + schema + "}}"), schema);
  EXPECT_EQ(SchemaOf(Chat(R"("response_format":{"type":"json_schema","json_schema":{"name":"n","schema":)" + schema + "}}")), schema);
  EXPECT_EQ(Completion(R"("guided_json":)" + schema), schema);
  EXPECT_EQ(Completion(R"("guided_json":"{\"type\":\"string\"}")"), R"({"type":"string"})");
  EXPECT_EQ(Completion(R"("structured_outputs":{"json":)" + schema + "}"), schema);
  EXPECT_EQ(Completion(R"("structured_outputs":{"json_object":true})"), "an object");
  EXPECT_EQ(Completion(R"("response_format":{"type":"json_object"})"), "an object");
  EXPECT_EQ(Completion(R"("response_format":{"type":"text"})"), "none");
  EXPECT_EQ(Completion(R"("response_format":null)"), "none");
}

TEST(ToolFieldsTest, ReadsToolsAndTheChoiceAmongThem) {
  const std::string tools = R"("tools":[{"type":"function","function":{"name":"f","description":"d","strict":true,"parameters":{"type":"object","properties":{"z":{},"a":{}}}}},{"type":"function","function":{"name":"g"}}])";
  const auto use = [&](const std::string& more) { return std::get<ChatPrompt>(Chat(tools + more)->calls[0].input).tool_use; };
  const ToolUse automatic = use("");
  EXPECT_EQ(automatic.choice, ToolChoice::kAuto);
  EXPECT_TRUE(automatic.parallel && automatic.offered());
  ASSERT_EQ(automatic.tools.size(), 2u);
  EXPECT_EQ(automatic.tools[0].parameters, R"({"type":"object","properties":{"z":{},"a":{}}})");
  EXPECT_TRUE(automatic.tools[0].strict && !automatic.tools[1].strict);
  EXPECT_EQ(automatic.tools[1].parameters, "");
  EXPECT_EQ(use(R"(,"tool_choice":"required","parallel_tool_calls":false)").choice, ToolChoice::kRequired);
  EXPECT_FALSE(use(R"(,"parallel_tool_calls":false)").parallel);
  EXPECT_FALSE(use(R"(,"tool_choice":"none")").offered());
  EXPECT_EQ(use(R"(,"tool_choice":{"type":"function","function":{"name":"g"}})").named, "g");
}

TEST(ToolFieldsTest, AMessageMayHaveCallsAndAnEmptyContent) {
  const std::string body = R"({"messages":[{"role":"assistant","content":"","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"4"}]})";
  const auto api = ReadChatCall(Json::parse(body), body);
  ASSERT_TRUE(api.ok()) << api.status();
  EXPECT_EQ(std::get<ChatPrompt>(api->calls[0].input).messages[0].content, std::nullopt);
}

TEST(AnswerTextTest, CallsHaveIdsWhereTheyBegin) {
  const AnswerText text({.kind = AnswerKind::kChat, .stream = true}, {.id = "chatcmpl-77", .model = "m", .fingerprint = "f", .created_s = 1}, nullptr);
  const std::vector<model::ToolCallPiece> begun{{.index = 0, .name = "f"}};
  std::string event;
  text.AppendEvent({.index = 2, .calls = begun, .called = true, .finish = {}}, {}, event);
  const Json delta = Json::parse(event.substr(6))["choices"][0]["delta"];
  EXPECT_EQ(delta, Json::parse(R"({"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_77_2_0","type":"function","function":{"name":"f","arguments":""}}]})"))
      << delta;
  const std::vector<model::ToolCallPiece> more{{.index = 0, .arguments = "{\"a\""}};
  event.clear();
  text.AppendEvent({.index = 2, .calls = more, .called = true, .finish = FinishReason::kStop, .first = false}, {}, event);
  const Json choice = Json::parse(event.substr(6))["choices"][0];
  EXPECT_EQ(choice["delta"], Json::parse(R"({"tool_calls":[{"index":0,"function":{"arguments":"{\"a\""}}]})")) << choice;
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
}

TEST(AnswerTextTest, AWholeMessageHasItsCallsAndNoIndex) {
  const AnswerText text({.kind = AnswerKind::kChat}, {.id = "chatcmpl-9", .model = "m", .fingerprint = "f", .created_s = 1}, nullptr);
  const std::vector<model::ToolCallPiece> calls{{.index = 0, .name = "f", .arguments = "{}"}, {.index = 1, .name = "g", .arguments = "{\"a\":1}"}};
  const AnswerChoice choice{.calls = calls, .called = true, .finish = FinishReason::kLength};
  const Json whole = Json::parse(text.Whole({&choice, 1}, {}))["choices"][0];
  EXPECT_EQ(whole["message"]["content"], nullptr);
  EXPECT_EQ(whole["message"]["tool_calls"][1], Json::parse(R"({"id":"call_9_0_1","type":"function","function":{"name":"g","arguments":"{\"a\":1}"}})"));
  EXPECT_EQ(whole["finish_reason"], "length");
}

}  // namespace
}  // namespace atoll::router::http
