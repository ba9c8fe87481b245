// Row B50: texts made to be slow or deep. The ids are checked by what they must decode to and by what a part of the text
// gives; a quadratic or recursive encoder does not come to the end of these within a test's patience or its stack.

#include <gtest/gtest.h>

#include <pthread.h>

#include "tests/tokenizer/test_tokenizers.h"

namespace atoll::model {
namespace {

using Ids = std::vector<int32_t>;

std::string Repeated(std::string_view part, size_t times) {
  std::string text;
  text.reserve(part.size() * times);
  for (size_t i = 0; i < times; ++i) text += part;
  return text;
}

std::string LetterRun(size_t length) {
  std::string text;
  uint32_t state = 1;
  while (text.size() < length) text += static_cast<char>('a' + ((state = state * 1664525u + 1013904223u) >> 24) % 26);
  return text;
}

class HostileText : public testing::TestWithParam<std::pair<const char*, std::string>> {};

TEST_P(HostileText, B50_RoundTrips) {
  const std::string& text = GetParam().second;
  for (const AddedTokens added : {AddedTokens::kMatch, AddedTokens::kPlainText}) {
    const auto ids = Tales().Encode(text, added);
    ASSERT_TRUE(ids.ok());
    EXPECT_EQ(*Tales().Decode(*ids, SpecialTokens::kKeep), text);
  }
}

INSTANTIATE_TEST_SUITE_P(
    B50, HostileText,
    testing::Values(std::pair("letters", LetterRun(51'294)), std::pair("letters_1mb", LetterRun(1'000'000)),
                    std::pair("one_letter", Repeated("a", 131'072)), std::pair("spaces", Repeated(" ", 1'000'000)),
                    std::pair("digits", Repeated("7", 1'000'000)), std::pair("marks", Repeated("\u0301", 500'000)),
                    std::pair("newlines", Repeated("\n", 100'000)), std::pair("newlines_spaces", Repeated("\n ", 100'000)),
                    std::pair("joiners", Repeated("\u200D", 300'000)), std::pair("unmatched_words", Repeated("\u200Da", 200'000)),
                    std::pair("half_control_tokens", Repeated("<｜begin▁of▁sentence｜", 30'000)),
                    std::pair("brackets", Repeated("<", 500'000)), std::pair("spaces_then_digit", Repeated(Repeated(" ", 9'999) + "1", 100))),
    [](const auto& test) { return test.param.first; });

TEST(HostileText, B50_KnownIdsOfARun) {
  const Ids digits = *Tales().Encode(Repeated("7", 999'999), AddedTokens::kMatch);
  const Ids three = *Tales().Encode("777", AddedTokens::kMatch);
  ASSERT_EQ(digits.size(), 333'333 * three.size());
  for (size_t i = 0; i < digits.size(); ++i) ASSERT_EQ(digits[i], three[i % three.size()]);
}

// A thread whose stack is a small fraction of what one frame per character would need.
TEST(HostileText, B50_StackDepthIsConstant) {
  const std::string text = LetterRun(400'000) + Repeated(" ", 400'000) + Repeated("\u0301", 200'000) + Repeated("!", 200'000);
  struct Job {
    const std::string& text;
    bool done = false;
  } job{text};
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, 256 * 1024), 0);
  pthread_t thread;
  const auto run = [](void* argument) -> void* {
    Job& given = *static_cast<Job*>(argument);
    given.done = Tales().Encode(given.text, AddedTokens::kMatch).ok();
    return nullptr;
  };
  Tales();  // loaded on this thread
  ASSERT_EQ(pthread_create(&thread, &attributes, run, &job), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  EXPECT_TRUE(job.done);
}

}  // namespace
}  // namespace atoll::model
