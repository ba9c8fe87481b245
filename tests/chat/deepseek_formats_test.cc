// The renderings of DeepSeek's formats, letter by letter, with the oddities that the models were trained on: check 10 of the
// specification.

#include <gtest/gtest.h>

#include "model/chat/chat_format.h"

namespace atoll::model {
namespace {

using Messages = std::vector<ChatMessage>;

ChatMessage System(std::string text) { return {.role = "system", .content = std::move(text), .tool_calls = {}}; }
ChatMessage User(std::string text) { return {.role = "user", .content = std::move(text), .tool_calls = {}}; }
ChatMessage Assistant(std::string text) { return {.role = "assistant", .content = std::move(text), .tool_calls = {}}; }
ChatMessage Tool(std::string text) { return {.role = "tool", .content = std::move(text), .tool_calls = {}}; }
ChatMessage Calls(std::optional<std::string> text, std::vector<std::string> names) {
  ChatMessage message{.role = "assistant", .content = std::move(text), .tool_calls = {}};
  for (std::string& name : names) message.tool_calls.push_back({.name = std::move(name), .arguments = "{}"});
  return message;
}

std::string Rendered(std::string_view format, const Messages& messages, const ChatOptions& options = {}) {
  const auto made = ChatFormatByName(format);
  EXPECT_TRUE(made.ok()) << made.status();
  const auto chat = (*made)->Render(messages, options);
  return chat.ok() ? chat->Text() : std::string(chat.status().message());
}

const std::string kB = "<｜begin▁of▁sentence｜>";
const std::string kE = "<｜end▁of▁sentence｜>";
const std::string kU = "<｜User｜>";
const std::string kA = "<｜Assistant｜>";

std::string Json(const std::string& name) {
  return "<｜tool▁call▁begin｜>function<｜tool▁sep｜>" + name + "\n```json\n{}\n```<｜tool▁call▁end｜>";
}
std::string Output(const std::string& text) { return "<｜tool▁output▁begin｜>" + text + "<｜tool▁output▁end｜>"; }

TEST(V3Format, HoistsAllSystemMessages) {
  EXPECT_EQ(Rendered("v3", {User("a"), System("S1"), Assistant("b"), System("S2"), User("c")}),
            kB + "S1\n\nS2" + kU + "a" + kA + "b" + kE + kU + "c" + kA);
  EXPECT_EQ(Rendered("v3", {User("a")}, {.add_generation_prompt = false}), kB + kU + "a");
  EXPECT_EQ(Rendered("v3", {}), kB + kA);
}

TEST(V3Format, KeepsThinkingOfEarlierAnswers) {
  EXPECT_EQ(Rendered("v3", {Assistant("<think>x</think>y")}, {.add_generation_prompt = false}), kB + kA + "<think>x</think>y" + kE);
}

TEST(V3Format, ToolCallsCloseOneTooFewTimesOrTooMany) {
  const std::string open = kB + kU + "a" + kA + "<｜tool▁calls▁begin｜>";
  const std::string close = "<｜tool▁calls▁end｜>" + kE;
  EXPECT_EQ(Rendered("v3", {User("a"), Calls({}, {"f"})}), open + Json("f") + kA);
  EXPECT_EQ(Rendered("v3", {User("a"), Calls({}, {"f", "g"})}), open + Json("f") + "\n" + Json("g") + close + kA);
  EXPECT_EQ(Rendered("v3", {User("a"), Calls({}, {"f", "g", "h"})}),
            open + Json("f") + "\n" + Json("g") + close + "\n" + Json("h") + close + kA);
}

TEST(V3Format, ASecondRoundOfToolsLacksItsOpenings) {
  EXPECT_EQ(Rendered("v3", {User("a"), Calls({}, {"f"}), Tool("1"), Tool("2"), Assistant("b"), Calls({}, {"g"}), Tool("3")}),
            kB + kU + "a" + kA + "<｜tool▁calls▁begin｜>" + Json("f") + "<｜tool▁outputs▁begin｜>" + Output("1") + "\n" + Output("2") +
                "<｜tool▁outputs▁end｜>b" + kE + "\n" + Json("g") + "<｜tool▁calls▁end｜>" + kE + "\n" + Output("3") +
                "<｜tool▁outputs▁end｜>");
}

TEST(V3Format, RefusesTextBesideToolCalls) {
  EXPECT_EQ(Rendered("v3", {User("a"), Calls("text", {"f"})}),
            "message 1: the chat format v3 has either a content or tool calls in a message, found both");
}

TEST(R1Format, ToolCallsCloseOnceAndKeepTheirText) {
  EXPECT_EQ(Rendered("r1-api-docs", {User("a"), Calls("text", {"f", "g"}), Tool("1"), Tool("2")}),
            kB + kU + "a" + kA + "text<｜tool▁calls▁begin｜>" + Json("f") + "\n" + Json("g") + "<｜tool▁calls▁end｜>" + kE +
                "<｜tool▁outputs▁begin｜>" + Output("1") + Output("2") + "<｜tool▁outputs▁end｜>");
}

TEST(R1Format, DropsThinkingThroughTheLastEnd) {
  EXPECT_EQ(Rendered("r1-api-docs", {User("a"), Assistant("<think>1</think>2</think>3"), User("b")}),
            kB + kU + "a" + kA + "3" + kE + kU + "b" + kA);
}

TEST(R1Format, TheHubsReleaseBeginsTheThinking) {
  EXPECT_EQ(Rendered("r1", {User("a")}), kB + kU + "a" + kA + "<think>\n");
  EXPECT_EQ(Rendered("r1-api-docs", {User("a")}), kB + kU + "a" + kA);
}

TEST(V31Format, KnownRendering) {
  const Messages messages = {System("You are a helpful assistant"), User("Hello"), Assistant("Hi there"), User("How are you?")};
  const std::string common = kB + "You are a helpful assistant" + kU + "Hello" + kA + "</think>Hi there" + kE + kU + "How are you?" + kA;
  EXPECT_EQ(Rendered("v3.1", messages, {.thinking = true}), common + "<think>");
  EXPECT_EQ(Rendered("v3.1", messages, {.thinking = false}), common + "</think>");
}

TEST(V31Format, DropsThinkingThroughTheFirstEnd) {
  EXPECT_EQ(Rendered("v3.1", {User("a"), Assistant("1</think>2</think>3")}), kB + kU + "a" + kA + "</think>2</think>3" + kE);
}

TEST(V31Format, APrefixThinksOnlyWhenThinkingIsOn) {
  ChatMessage prefix = Assistant("so");
  prefix.prefix = true;
  EXPECT_EQ(Rendered("v3.1", {User("a"), prefix}, {.thinking = true}), kB + kU + "a" + kA + "<think>so" + kE);
  EXPECT_EQ(Rendered("v3.1", {User("a"), prefix}, {.thinking = false}), kB + kU + "a" + kA + "</think>so" + kE);
}

TEST(V31Format, ToolsHaveNoOutputsWrapper) {
  const auto call = [](const std::string& name) { return "<｜tool▁call▁begin｜>" + name + "<｜tool▁sep｜>{}<｜tool▁call▁end｜>"; };
  const std::string round = "<｜tool▁calls▁begin｜>" + call("f") + call("g") + "<｜tool▁calls▁end｜>" + kE;
  EXPECT_EQ(Rendered("v3.1", {User("a"), Calls("text", {"f", "g"}), Tool("1"), Calls({}, {"f", "g"}), Tool("2")}),
            kB + kU + "a" + kA + "</think>text" + round + Output("1") + round + Output("2"))
      << "nothing follows a tool's result: the model goes on with its turn";
  EXPECT_EQ(Rendered("v3.1", {User("a"), Calls({}, {"f", "g"}), Tool("1"), Assistant("x</think>y")}),
            kB + kU + "a" + kA + "</think>" + round + Output("1") + "x</think>y" + kE);
}

TEST(ChatFormat, UnknownNamesAreRefused) {
  const absl::Status status = ChatFormatByName("chatml").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("v3.1"), absl::string_view::npos);
}

TEST(ChatFormat, MessagesAreChecked) {
  for (const char* format : {"v3", "r1", "v3.1"}) {
    EXPECT_EQ(Rendered(format, {User("a"), {.role = "robot", .content = "x", .tool_calls = {}}}),
              "message 1: role: expected system, user, assistant or tool, found \"robot\"");
    EXPECT_EQ(Rendered(format, {{.role = "user", .content = {}, .tool_calls = {}}}), "message 0: content: expected a text, found none");
    ChatMessage user = User("a");
    user.tool_calls.push_back({.name = "f", .arguments = "{}"});
    EXPECT_EQ(Rendered(format, {user}), "message 0: tool calls: expected only in an assistant's message");
  }
}

}  // namespace
}  // namespace atoll::model
