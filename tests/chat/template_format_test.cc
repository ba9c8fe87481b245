#include "model/chat/template_format.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/tokenizer/test_tokenizers.h"

namespace atoll::model {
namespace {

std::vector<ChatMessage> Conversation() {
  return {{.role = "system", .content = "S", .tool_calls = {}},
          {.role = "user", .content = "u", .tool_calls = {}},
          {.role = "assistant", .content = "a", .tool_calls = {}},
          {.role = "user", .content = "v", .tool_calls = {}}};
}

TokenizerConfig WithTemplate(std::string text) {
  return {.add_bos = true, .bos_token = "<s>", .eos_token = "</s>", .chat_template = std::move(text)};
}

TEST(TemplateFormat, TheBundledCheckpointsTemplate) {
  const auto format = ChatFormatOf(Tales().config());
  ASSERT_TRUE(format.ok()) << format.status();
  EXPECT_EQ((*format)->name(), "template");
  EXPECT_EQ((*format)->Render(Conversation(), {})->Text(),
            "<｜begin▁of▁sentence｜>S<｜User｜>u<｜Assistant｜>a<｜end▁of▁sentence｜><｜User｜>v<｜Assistant｜>");
  EXPECT_EQ((*format)->Render({}, {.add_generation_prompt = false})->Text(), "<｜begin▁of▁sentence｜>");
}

TEST(TemplateFormat, KnowsFormatFromMessage) {
  const auto format = ChatFormatOf(WithTemplate("{{ bos_token }}{% for m in messages %}[{{ m.role + ':' + m.content }}]{% endfor %}"));
  const auto chat = (*format)->Render(Conversation(), {});
  ASSERT_TRUE(chat.ok()) << chat.status();
  std::string from_messages;
  for (const ChatPiece& piece : chat->pieces()) {
    if (piece.origin == ChatPiece::Origin::kMessage) from_messages += piece.text;
  }
  EXPECT_EQ(chat->Text(), "<s>[system:S][user:u][assistant:a][user:v]");
  EXPECT_EQ(from_messages, "systemSuseruassistantauserv");
}

TEST(TemplateFormat, RefusesWhatItDoesNotKnowByName) {
  const std::pair<const char*, const char*> unknown[] = {
      {"{{ messages | tojson }}", "filters"},       {"{% macro f() %}{% endmacro %}", "macro"}, {"{% include 'x' %}", "include"},
      {"{{ strftime_now('%d') }}", "strftime_now"}, {"{{ m.content.strip() }}", "strip"},       {"{{ a < 1 }}", "<"},
      {"{{ x is mapping }}", "mapping"},            {"{{ 'a' * 9 }}", "*"},                     {"{% for a in b %}", "does not end"},
      {"{{ a", "does not end"},                     {"{{ 'a }}", "does not end"},               {"{% endif %}", "endif"},
      {"{{ a[0:1] }}", ":"},                        {"{{ '\\q' }}", "escape"}};
  for (const auto& [text, name] : unknown) {
    const absl::Status status = ChatFormatOf(WithTemplate(text)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << text;
    EXPECT_NE(status.message().find(name), absl::string_view::npos) << text << ": " << status;
  }
  EXPECT_EQ(ChatFormatOf(TokenizerConfig{}).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(TemplateFormat, ToolsAreNotPassedOverInSilence) {
  const auto format = ChatFormatOf(Tales().config());
  std::vector<ChatMessage> messages = Conversation();
  messages.push_back({.role = "tool", .content = "42 degrees", .tool_calls = {}});
  EXPECT_EQ((*format)->Render(messages, {}).status().code(), absl::StatusCode::kInvalidArgument);
  messages.back() = {.role = "assistant", .content = "w", .tool_calls = {{.name = "weather", .arguments = "{}"}}};
  EXPECT_EQ((*format)->Render(messages, {}).status().code(), absl::StatusCode::kInvalidArgument);
}

// Two ways to one text: DeepSeek's own template interpreted, and the format written out.
TEST(TemplateFormat, DeepSeeksTemplateEqualsTheBuiltInFormat) {
  if (DeepSeek() == nullptr) GTEST_SKIP() << "no reference files";
  const auto interpreted = ChatFormatOf(DeepSeek()->config());
  const auto built_in = ChatFormatByName("r1-api-docs");
  ASSERT_TRUE(interpreted.ok()) << interpreted.status();
  std::mt19937 random(8);
  const char* texts[] = {"", "hi", "<think>a</think>b</think>c", "</think>", "<｜User｜>", "two\n\nlines "};
  const char* roles[] = {"system", "user", "assistant", "assistant", "tool"};
  for (int round = 0; round < 2000; ++round) {
    std::vector<ChatMessage> messages;
    for (size_t count = random() % 7; count > 0; --count) {
      ChatMessage message{.role = roles[random() % 5], .content = texts[random() % 6], .tool_calls = {}};
      if (message.role == "assistant" && random() % 3 == 0) {
        if (random() % 2 == 0) message.content.reset();
        for (size_t calls = 1 + random() % 3; calls > 0; --calls) message.tool_calls.push_back({.name = "f", .arguments = "{\"x\": 1}"});
      }
      messages.push_back(std::move(message));
    }
    const ChatOptions options{.add_generation_prompt = random() % 2 == 0};
    const auto theirs = (*interpreted)->Render(messages, options);
    const auto ours = (*built_in)->Render(messages, options);
    ASSERT_TRUE(theirs.ok() && ours.ok()) << theirs.status() << ours.status();
    ASSERT_EQ(theirs->Text(), ours->Text()) << "round " << round;
    ASSERT_EQ(*theirs->Encode(*DeepSeek(), AddedTokens::kPlainText), *ours->Encode(*DeepSeek(), AddedTokens::kPlainText));
  }
}

}  // namespace
}  // namespace atoll::model
