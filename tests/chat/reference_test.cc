// Conversations as Jinja rendered them and Hugging Face tokenizers encoded them, where the reference files are at hand.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/chat/chat_format.h"
#include "tests/tokenizer/test_tokenizers.h"

namespace atoll::model {
namespace {

using nlohmann::json;

void ExpectReference(const Tokenizer& tokenizer, const ChatFormat& format, const std::string& name) {
  const json reference = json::parse(ReadFile(SharedModels() / "reference/chat.json"), nullptr, false);
  ASSERT_GE(reference[name].size(), 10u);
  for (const json& one : reference[name]) {
    std::vector<ChatMessage> messages;
    for (const json& message : one["messages"]) {
      messages.push_back({.role = message["role"].get<std::string>(), .content = message["content"].get<std::string>(), .tool_calls = {}});
    }
    const auto chat = format.Render(messages, {.add_generation_prompt = one["add_generation_prompt"].get<bool>()});
    ASSERT_TRUE(chat.ok()) << chat.status();
    EXPECT_EQ(chat->Text(), one["text"].get<std::string>());
    EXPECT_EQ(*chat->Encode(tokenizer, AddedTokens::kMatch), one["ids"].get<std::vector<int32_t>>()) << chat->Text();
  }
}

TEST(ChatReference, TalesTemplate) {
  if (!std::filesystem::exists(SharedModels())) GTEST_SKIP() << "no reference files";
  const auto format = ChatFormatOf(Tales().config());
  ASSERT_TRUE(format.ok()) << format.status();
  ExpectReference(Tales(), **format, "tales");
}

TEST(ChatReference, DeepSeekTemplate) {
  if (DeepSeek() == nullptr) GTEST_SKIP() << "no reference files";
  const auto format = ChatFormatOf(DeepSeek()->config());
  ASSERT_TRUE(format.ok()) << format.status();
  ExpectReference(*DeepSeek(), **format, "deepseek_r1_api_docs");
}

TEST(ChatReference, BuiltInFormat) {
  if (DeepSeek() == nullptr) GTEST_SKIP() << "no reference files";
  ExpectReference(*DeepSeek(), **ChatFormatByName("r1-api-docs"), "deepseek_r1_api_docs");
}

}  // namespace
}  // namespace atoll::model
