#include "cli/load/http/openai_messages.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/load/http/sse_reader.h"

namespace atoll::load {
namespace {

TEST(SseReader, EventsWhereverTheBytesAreCut) {
  const std::string bytes = ": comment\ndata: one\n\nevent: x\r\ndata:two\r\n\r\ndata: a\ndata: b\n\n\ndata: unfinished\n";
  for (size_t step = 1; step <= bytes.size(); ++step) {
    SseReader reader;
    std::vector<std::string> events;
    for (size_t at = 0; at < bytes.size(); at += step)
      ASSERT_TRUE(reader.Feed(std::string_view(bytes).substr(at, step), [&](std::string_view data) { events.emplace_back(data); }));
    EXPECT_EQ(events, (std::vector<std::string>{"one", "two", "a\nb"})) << step;
  }
}

TEST(SseReader, BoundsAnEvent) {
  SseReader reader(100);
  const auto ignore = [](std::string_view) {};
  EXPECT_TRUE(reader.Feed("data: " + std::string(80, 'x'), ignore));
  EXPECT_FALSE(reader.Feed(std::string(80, 'x'), ignore));
  SseReader lines(100);
  bool kept = true;
  for (int i = 0; i < 50 && kept; ++i) kept = lines.Feed("data: 0123456789\n", ignore);
  EXPECT_FALSE(kept);
}

TEST(StreamRequest, TextIdsAndChat) {
  LoadCall call{.index = 0, .request_id = "r", .input = cli::TextInput{"hi"}, .max_tokens = 7, .temperature = 0, .seed = 5};
  HttpRequestText text = StreamRequest(call, "m");
  auto body = nlohmann::json::parse(text.body);
  EXPECT_EQ(text.path, "/v1/completions");
  EXPECT_EQ(body["prompt"], "hi");
  EXPECT_EQ(body["max_tokens"], 7);
  EXPECT_EQ(body["ignore_eos"], true);
  EXPECT_EQ(body["stream_options"]["include_usage"], true);
  call.input = cli::IdsInput{{1, 2}};
  EXPECT_EQ(nlohmann::json::parse(StreamRequest(call, "m").body)["prompt"], (std::vector<int>{1, 2}));
  call.input = cli::ChatInput{{{"user", "x"}}, std::nullopt};
  text = StreamRequest(call, "m");
  EXPECT_EQ(text.path, "/v1/chat/completions");
  EXPECT_EQ(nlohmann::json::parse(text.body)["messages"][0]["content"], "x");
}

TEST(StreamAnswer, CountsByTheServersRunningUsage) {
  StreamAnswer answer;
  EXPECT_EQ(answer.OnEvent(R"({"choices":[{"text":"a"}],"usage":{"prompt_tokens":4,"completion_tokens":1}})"), 1);
  EXPECT_EQ(answer.OnEvent(R"({"choices":[{"text":"bcd"}],"usage":{"prompt_tokens":4,"completion_tokens":4}})"), 3);
  EXPECT_EQ(answer.OnEvent(R"({"choices":[{"text":"","finish_reason":"length"}],"usage":{"prompt_tokens":4,"completion_tokens":4}})"), 0);
  EXPECT_EQ(answer.OnEvent("[DONE]"), 0);
  const CallEnd end = answer.End();
  EXPECT_TRUE(end.ok);
  EXPECT_EQ(end.completion_tokens, 4);
  EXPECT_EQ(end.prompt_tokens, 4);
}

TEST(StreamAnswer, MessagesStandForTokensUntilAUsageComes) {
  StreamAnswer answer;
  EXPECT_EQ(answer.OnEvent(R"({"choices":[{"delta":{"role":"assistant","content":""}}]})"), 0);
  EXPECT_EQ(answer.OnEvent(R"({"choices":[{"delta":{"content":"a"}}]})"), 1);
  EXPECT_EQ(answer.OnEvent(R"({"choices":[{"delta":{"reasoning_content":"b"}}]})"), 1);
  EXPECT_EQ(answer.OnEvent(R"({"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5}})"), 3);
  (void)answer.OnEvent("[DONE]");
  EXPECT_EQ(answer.End().completion_tokens, 5);
  StreamAnswer without;
  (void)without.OnEvent(R"({"choices":[{"text":"a"}]})");
  (void)without.OnEvent("[DONE]");
  EXPECT_EQ(without.End().completion_tokens, 1);
}

TEST(StreamAnswer, FailsWithoutDoneOnErrorsAndOnNonsense) {
  StreamAnswer cut;
  (void)cut.OnEvent(R"({"choices":[{"text":"a"}]})");
  EXPECT_FALSE(cut.End().ok);
  StreamAnswer error;
  (void)error.OnEvent(R"({"error":{"message":"lost","code":"ATTENTION_NODE_LOST"}})");
  (void)error.OnEvent("[DONE]");
  EXPECT_FALSE(error.End().ok);
  EXPECT_EQ(error.End().reason, "ATTENTION_NODE_LOST");
  for (const char* data : {"x", "[]", "3", R"({"choices":5})", R"({"choices":[3,{"delta":7},{"text":[]}]})", R"({"usage":{"completion_tokens":-5}})", R"({"usage":7})", R"({"error":"text"})"}) {
    StreamAnswer answer;
    EXPECT_EQ(answer.OnEvent(data), 0) << data;
  }
}

TEST(HttpAnswers, RefusalsTokensAndModels) {
  const CallEnd busy = RefusedEnd(429, R"({"error":{"message":"full","type":"rate_limit","code":"TOO_MANY_REQUESTS"}})");
  EXPECT_TRUE(busy.refusal);
  EXPECT_EQ(busy.code, "HTTP 429");
  EXPECT_EQ(busy.reason, "TOO_MANY_REQUESTS");
  EXPECT_FALSE(RefusedEnd(400, "nonsense").refusal);
  EXPECT_EQ(TokensOf(R"({"tokens":[1,2]})").value(), (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(ModelOf(R"({"data":[{"id":"tales"}]})").value(), "tales");
  for (const char* body : {"", "{}", R"({"tokens":3,"data":[]})", R"({"tokens":[-1],"data":[{}]})"}) {
    EXPECT_FALSE(TokensOf(body).ok()) << body;
    EXPECT_FALSE(ModelOf(body).ok()) << body;
  }
}

}  // namespace
}  // namespace atoll::load
