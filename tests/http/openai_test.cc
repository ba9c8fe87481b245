// OpenAI's API on a real router with fake nodes.

#include <gmock/gmock.h>

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/http/raw_client.h"
#include "tests/router/router_fixture.h"

namespace atoll::router::http {
namespace {

using Json = nlohmann::json;

struct HttpAnswer {
  int status = 0;
  std::string head;
  std::string body;
  Json json() const { return Json::parse(body, nullptr, false); }
  std::string code() const { return json()["error"]["code"].is_string() ? json()["error"]["code"].get<std::string>() : ""; }
  std::string param() const { return json()["error"]["param"].is_string() ? json()["error"]["param"].get<std::string>() : ""; }
};

std::string PostText(const std::string& path, const std::string& body, const std::string& headers = "") {
  return absl::StrCat("POST ", path, " HTTP/1.0\r\n", headers, "Content-Length: ", body.size(), "\r\n\r\n", body);
}

class OpenAiTest : public RouterFixture {
 protected:
  HttpAnswer Ask(const std::string& request, bool metrics = false) {
    RawClient client(metrics ? app_->metrics_address() : app_->http_address());
    client.Send(request);
    const std::string all = client.ReadAll();
    const size_t end = std::min(all.find("\r\n\r\n"), all.size());
    return {StatusOf(all), all.substr(0, end), all.substr(std::min(end + 4, all.size()))};
  }
  HttpAnswer Post(const std::string& path, const std::string& body, const std::string& headers = "") { return Ask(PostText(path, body, headers)); }
  HttpAnswer Get(const std::string& path, bool metrics = false) { return Ask(absl::StrCat("GET ", path, " HTTP/1.0\r\n\r\n"), metrics); }

  // The JSON of each event; [DONE] as a string.
  static std::vector<Json> Events(const std::string& body) {
    std::vector<Json> events;
    for (size_t at = 0; at < body.size();) {
      const size_t end = body.find("\n\n", at);
      EXPECT_NE(end, std::string::npos);
      const std::string line = body.substr(at, end - at);
      EXPECT_EQ(line.substr(0, 6), "data: ") << line;
      events.push_back(line == "data: [DONE]" ? Json("[DONE]") : Json::parse(line.substr(6)));
      at = end + 2;
    }
    return events;
  }
};

TEST_F(OpenAiTest, ACompletionIsWhatGrpcSaysOfTheSameRequest) {
  BringUp();
  attention_->StartStepping();
  v1::GenerateRequest request;
  request.set_text("Once upon a time");
  request.mutable_stopping()->set_max_tokens(7);
  request.mutable_sampling()->set_seed(11);
  request.set_logprobs(2);
  request.set_n(2);
  const Answer grpc = Generate(request);
  ASSERT_TRUE(grpc.status.ok()) << grpc.status;
  const std::string body = R"({"prompt":"Once upon a time","max_tokens":7,"seed":11,"logprobs":2,"n":2,"return_token_ids":true)";
  const Json whole = Post("/v1/completions", body + "}").json();
  ASSERT_EQ(whole["choices"].size(), 2u) << whole;
  std::string streamed[2];
  const std::vector<Json> events = Events(Post("/v1/completions", body + R"(,"stream":true,"stream_options":{"include_usage":true}})").body);
  for (const Json& event : events) {
    if (!event.is_object()) continue;
    for (const Json& choice : event["choices"]) streamed[choice["index"].get<int>()] += choice["text"].get<std::string>();
  }
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(whole["choices"][i]["token_ids"].get<std::vector<int32_t>>(), grpc.ids.at(i));
    EXPECT_EQ(whole["choices"][i]["text"], grpc.text.at(i));
    EXPECT_EQ(streamed[i], grpc.text.at(i));
    EXPECT_EQ(whole["choices"][i]["finish_reason"], "length");
  }
  EXPECT_EQ(events.back(), "[DONE]");
  EXPECT_EQ(events[events.size() - 2]["choices"], Json::array());
  EXPECT_EQ(events[events.size() - 2]["usage"], whole["usage"]);
  EXPECT_EQ(whole["usage"]["prompt_tokens"], grpc.last.usage().prompt_tokens());
  EXPECT_EQ(whole["usage"]["completion_tokens"], 14);
  // One request reached the node three times with the same fields, whatever door it came through.
  const std::vector<v1::SubmitSequence> submitted = attention_->submitted();
  ASSERT_EQ(submitted.size(), 6u);
  for (size_t i = 2; i < 6; ++i) {
    v1::SubmitSequence normal = submitted[i];
    normal.set_sequence_id(submitted[i % 2].sequence_id());
    normal.set_request_id(submitted[i % 2].request_id());
    normal.set_deadline_ms(submitted[i % 2].deadline_ms());
    EXPECT_EQ(normal.SerializeAsString(), submitted[i % 2].SerializeAsString()) << i;
  }
}

TEST_F(OpenAiTest, StreamsOneEventPerTokenWithTheRoleInTheFirst) {
  BringUp();
  attention_->StartStepping(2000);
  const HttpAnswer answer = Post("/v1/chat/completions", R"({"messages":[{"role":"user","content":"hi"}],"max_completion_tokens":5,"stream":true})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.head, testing::HasSubstr("Content-Type: text/event-stream"));
  EXPECT_THAT(answer.head, testing::HasSubstr("Cache-Control: no-cache"));
  EXPECT_THAT(answer.head, testing::HasSubstr("X-Request-Id: "));
  const std::vector<Json> events = Events(answer.body);
  ASSERT_EQ(events.size(), 6u) << answer.body;
  EXPECT_EQ(events[0]["choices"][0]["delta"]["role"], "assistant");
  EXPECT_FALSE(events[0]["choices"][0]["delta"]["content"].get<std::string>().empty());
  for (int i = 1; i < 5; ++i) EXPECT_FALSE(events[i]["choices"][0]["delta"].contains("role"));
  EXPECT_EQ(events[4]["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(events[5], "[DONE]");
  EXPECT_EQ(events[0]["id"].get<std::string>().substr(0, 9), "chatcmpl-");
}

// tales with a template that makes it think: what R1 and V3.1 do.
TEST_F(OpenAiTest, ThinkingIsKeptApartFromTheAnswer) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / absl::StrCat("thinker-", getpid());
  std::filesystem::create_directories(folder);
  for (const auto& file : std::filesystem::directory_iterator(ATOLL_SOURCE_DIR "/checkpoints/tales")) {
    if (file.path().filename() != "tokenizer_config.json") std::filesystem::copy_file(file.path(), folder / file.path().filename());
  }
  std::ifstream in(ATOLL_SOURCE_DIR "/checkpoints/tales/tokenizer_config.json");
  Json tokenizer_config = Json::parse(in);
  tokenizer_config["chat_template"] = "{% for m in messages %}{{ m['content'] }}{% endfor %}<think>\n";
  std::ofstream(folder / "tokenizer_config.json") << tokenizer_config.dump();
  std::vector<int32_t> said;
  RouterConfig config = Config();
  config.model = folder;
  BringUp(config, [&said](const FakeSequence& s) { return s.sampled < said.size() ? said[s.sampled] : 1; });
  ASSERT_NE(app_, nullptr);
  said = *app_->front_door().model().tokenizer()->Encode("Let me see.</think>A fox.", model::AddedTokens::kPlainText);
  attention_->StartStepping(500);
  const std::string ask = absl::StrCat(R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":)", said.size());
  const Json message = Post("/v1/chat/completions", ask + "}").json()["choices"][0]["message"];
  EXPECT_EQ(message["reasoning_content"], "Let me see.");
  EXPECT_EQ(message["content"], "A fox.");
  std::string reasoning, content;
  for (const Json& event : Events(Post("/v1/chat/completions", ask + R"(,"stream":true})").body)) {
    if (!event.is_object()) continue;
    const Json& delta = event["choices"][0]["delta"];
    reasoning += delta.value("reasoning_content", "");
    content += delta.value("content", "");
  }
  EXPECT_EQ(reasoning, "Let me see.");
  EXPECT_EQ(content, "A fox.");
  std::filesystem::remove_all(folder);
}

TEST_F(OpenAiTest, AnswersSeveralPromptsByIndexAndEchoesThem) {
  BringUp();
  attention_->StartStepping();
  const Json whole = Post("/v1/completions", R"({"prompt":["The king","The fox"],"max_tokens":3,"n":2,"echo":true})").json();
  ASSERT_EQ(whole["choices"].size(), 4u) << whole;
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(whole["choices"][i]["index"], i);
    EXPECT_EQ(whole["choices"][i]["text"].get<std::string>().rfind(i < 2 ? "The king" : "The fox", 0), 0u);
  }
  EXPECT_EQ(whole["usage"]["completion_tokens"], 12);
  const std::vector<Json> events = Events(Post("/v1/completions", R"({"prompt":[[1,300],[2,301]],"max_tokens":3,"stream":true})").body);
  std::set<int> finished;
  for (const Json& event : events) {
    if (event.is_object() && !event["choices"][0]["finish_reason"].is_null()) finished.insert(event["choices"][0]["index"].get<int>());
  }
  EXPECT_EQ(finished, (std::set<int>{0, 1}));
  EXPECT_EQ(events.back(), "[DONE]");
}

TEST_F(OpenAiTest, SaysWhichStopEndedIt) {
  BringUp();
  attention_->StartStepping();
  const std::string text = *app_->front_door().Detokenize({102});
  const Json by_string = Post("/v1/completions", Json({{"prompt", {1, 2}}, {"max_tokens", 9}, {"stop", text}}).dump()).json()["choices"][0];
  EXPECT_EQ(by_string["finish_reason"], "stop");
  EXPECT_EQ(by_string["stop_reason"], text);
  EXPECT_EQ(by_string["text"], *app_->front_door().Detokenize({100, 101}));
  const Json kept = Post("/v1/completions", Json({{"prompt", {1, 2}}, {"max_tokens", 9}, {"stop", text}, {"include_stop_str_in_output", true}}).dump()).json()["choices"][0];
  EXPECT_EQ(kept["text"], *app_->front_door().Detokenize({100, 101, 102}));
}

TEST_F(OpenAiTest, AClientThatLeavesFreesItsSequences) {
  BringUp();
  const std::string stream = R"({"prompt":[[1,2],[3,4]],"n":2,"max_tokens":100,"stream":true})";
  RawClient streaming(app_->http_address());
  streaming.Send(PostText("/v1/completions", stream));
  RawClient waiting(app_->http_address());
  waiting.Send(PostText("/v1/completions", R"({"prompt":[5,6],"max_tokens":100})"));
  ASSERT_TRUE(WaitFor([&] { return attention_->live() == 5; }));
  attention_->Step();
  streaming.ReadUntil("data: ");
  streaming.Close();
  waiting.Close();
  EXPECT_TRUE(WaitIdle());
  EXPECT_EQ(attention_->cancelled(), 5u);
  EXPECT_EQ(app_->front_door().totals().cancelled, 3);
}

TEST_F(OpenAiTest, AFailureIsAStatusBeforeTheFirstTokenAndAnEventAfterIt) {
  BringUp();
  const std::string stream = R"({"prompt":[1,2],"max_tokens":100,"stream":true})";
  RawClient early(app_->http_address());
  early.Send(PostText("/v1/completions", stream));
  ASSERT_TRUE(WaitFor([&] { return attention_->live() == 1; }));
  attention_->FailAll(absl::StatusCode::kUnavailable, "gone");
  EXPECT_EQ(StatusOf(early.ReadAll()), 503);
  EXPECT_THAT(early.ReadAll(), testing::HasSubstr("Retry-After: 1"));
  RawClient late(app_->http_address());
  late.Send(PostText("/v1/completions", stream));
  ASSERT_TRUE(WaitFor([&] { return attention_->live() == 1; }));
  attention_->Step();
  late.ReadUntil("data: ");
  attention_->FailAll(absl::StatusCode::kInternal, "layer 3");
  const std::string all = late.ReadAll();
  EXPECT_EQ(StatusOf(all), 200);
  EXPECT_THAT(all, testing::HasSubstr("data: {\"error\":{\"message\":\"layer 3\""));
  EXPECT_THAT(all, testing::Not(testing::HasSubstr("[DONE]")));
}

TEST_F(OpenAiTest, RefusesBadRequestsInOpenAiForm) {
  BringUp();
  const auto refusal = [&](const std::string& path, const std::string& body) {
    const HttpAnswer answer = Post(path, body);
    return absl::StrCat(answer.status, " ", answer.param(), " ", answer.code());
  };
  const auto completion = [&](const std::string& fields) { return refusal("/v1/completions", R"({"prompt":"a")" + fields + "}"); };
  EXPECT_EQ(completion(R"(,"model":"other")"), "404 model model_not_found");
  EXPECT_EQ(completion(R"(,"temperature":-1)"), "400 temperature invalid_value");
  EXPECT_EQ(completion(R"(,"temperature":"hot")"), "400 temperature invalid_value");
  EXPECT_EQ(completion(R"(,"top_p":0)"), "400 top_p invalid_value");
  EXPECT_EQ(completion(R"(,"n":0)"), "400 n invalid_value");
  EXPECT_EQ(completion(R"(,"n":129)"), "400 n invalid_value");
  EXPECT_EQ(completion(R"(,"max_tokens":0)"), "400 max_tokens invalid_value");
  EXPECT_EQ(completion(R"(,"max_tokens":99999)"), "400 max_tokens invalid_value");
  EXPECT_EQ(completion(R"(,"stop":"")"), "400 stop invalid_value");
  EXPECT_EQ(completion(R"(,"logit_bias":{"99999":1})"), "400 logit_bias invalid_value");
  EXPECT_EQ(completion(R"(,"request_id":"a b")"), "400 request_id invalid_value");
  EXPECT_EQ(refusal("/v1/completions", R"({"prompt":[99999]})"), "400 prompt invalid_value");
  EXPECT_EQ(refusal("/v1/completions", R"({"prompt":[]})"), "400 prompt invalid_value");
  EXPECT_EQ(refusal("/v1/completions", "not json"), "400  invalid_value");
  EXPECT_EQ(refusal("/v1/completions", std::string(100000, '[')), "400  invalid_value");
  EXPECT_EQ(refusal("/v1/completions", "[]"), "400 body invalid_value");
  EXPECT_EQ(refusal("/v1/completions", ""), "400  invalid_value");
  EXPECT_EQ(refusal("/v1/chat/completions", R"({"messages":[]})"), "400 messages invalid_value");
  EXPECT_EQ(refusal("/v1/chat/completions", R"({"messages":[{"role":"user","content":"a"}],"chat_template":"x"})"), "400 chat_template unsupported_value");
  EXPECT_EQ(refusal("/v1/chat/completions", R"({"messages":[{"role":"user","content":"a"}],"chat_template_kwargs":{"thinking":true}})"),
            "400 chat_template_kwargs.thinking invalid_value");
  EXPECT_TRUE(attention_->saw_nothing() || WaitIdle());
}

TEST_F(OpenAiTest, PathsThatAreNone) {
  BringUp();
  for (const char* path : {"/page", "/page/", "/page/..", "/v1", "/metrics", "/debug", "/debug/pprof", "/start_profile", "/livez", "/v1/../v1/models", "/v1%2Fmodels", "//v1/models", "/v1/models/../models",
                           "/v1/embeddings", "/v1/responses", "/..%2f..%2fetc/passwd"}) {
    const HttpAnswer answer = Get(path);
    EXPECT_EQ(answer.status, 404) << path;
    EXPECT_FALSE(answer.code().empty()) << path << answer.body;
  }
  EXPECT_EQ(Get("/v1/completions").status, 405);
  EXPECT_THAT(Get("/v1/completions").head, testing::HasSubstr("Allow: POST"));
  EXPECT_EQ(Post("/v1/models", "{}").status, 405);
  EXPECT_EQ(Ask("OPTIONS /v1/completions HTTP/1.0\r\nOrigin: http://a\r\n\r\n").status, 405);
  EXPECT_THAT(Get("/v1/models").head, testing::Not(testing::HasSubstr("Access-Control")));
  EXPECT_EQ(Post("/v1/completions", "{}", "Content-Encoding: gzip\r\n").status, 415);
}

TEST_F(OpenAiTest, TokenizesAsTheModelSeesIt) {
  BringUp();
  const std::vector<int32_t> ids = *app_->front_door().model().tokenizer()->EncodePrompt("Once upon");
  const Json answer = Post("/tokenize", R"({"model":"tales","prompt":"Once upon","return_token_strs":true})").json();
  EXPECT_EQ(answer["tokens"].get<std::vector<int32_t>>(), ids);
  EXPECT_EQ(answer["count"], ids.size());
  EXPECT_EQ(answer["max_model_len"], 2048);
  EXPECT_EQ(answer["token_strs"].size(), ids.size());
  EXPECT_EQ(Post("/v1/tokenize", R"({"prompt":"Once upon","add_special_tokens":false})").json()["count"], ids.size() - 1);
  EXPECT_EQ(Post("/tokenize", R"({"messages":[{"role":"user","content":"hi"}]})").json()["tokens"][0], 0);
  EXPECT_EQ(Post("/detokenize", R"({"tokens":[3576,622]})").json()["prompt"], "Once upon");
  EXPECT_EQ(Post("/detokenize", R"({"tokens":[4095999]})").status, 400);
  EXPECT_EQ(Post("/tokenize", "{}").param(), "prompt");
  EXPECT_EQ(Post("/tokenize", R"({"model":"x","prompt":"a"})").status, 404);
  const std::string long_text(20000, 'a');
  EXPECT_EQ(Post("/tokenize", Json({{"prompt", long_text}}).dump()).status, 200);
}

TEST_F(OpenAiTest, ProbesTellTheTruth) {
  StartRouter();
  EXPECT_EQ(Get("/livez", true).status, 200);
  EXPECT_EQ(Get("/startupz", true).status, 503);
  EXPECT_EQ(Get("/startupz", true).json()["phase"], "join");
  EXPECT_EQ(Get("/readyz", true).status, 503);
  EXPECT_EQ(Get("/health").status, 503);
  EXPECT_EQ(Get("/v1/models").status, 503);
  const HttpAnswer refused = Post("/v1/completions", R"({"prompt":"a"})");
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.code(), "not_ready");
  EXPECT_THAT(refused.head, testing::HasSubstr("Retry-After: 1"));
  attention_ = std::make_unique<FakeAttentionNode>(FakeAttentionNode::Script{});
  e1_ = JoinExpert("e1");
  e2_ = JoinExpert("e2");
  a1_ = JoinAttention("a1", *attention_);
  ASSERT_TRUE(WaitReady());
  for (const char* path : {"/livez", "/startupz", "/readyz"}) EXPECT_EQ(Get(path, true).status, 200) << path;
  EXPECT_EQ(Get("/health").status, 200);
  const Json model = Get("/v1/models").json()["data"][0];
  EXPECT_EQ(model["id"], "tales");
  EXPECT_EQ(model["max_model_len"], 2048);
  EXPECT_FALSE(model["owned_by"].get<std::string>().empty());
  EXPECT_EQ(Get("/v1/models/tales").json()["id"], "tales");
  EXPECT_EQ(Get("/v1/models/other").status, 404);
  EXPECT_EQ(Get("/version").status, 200);
  EXPECT_EQ(Get("/server_info").json()["model"], "tales");
  e1_->End();
  ASSERT_TRUE(WaitReady(false));
  EXPECT_EQ(Get("/startupz", true).status, 200);
  EXPECT_EQ(Get("/readyz", true).status, 503);
  EXPECT_THAT(Get("/readyz", true).body, testing::HasSubstr("e1"));
  EXPECT_EQ(Get("/v1/models").status, 200);
}

TEST_F(OpenAiTest, RefusesOverloadAndShutdownFailsWhatRuns) {
  RouterConfig config = Config();
  config.admission.requests_max = 1;
  config.shutdown_timeout_ms = 0;
  BringUp(config);
  RawClient first(app_->http_address());
  first.Send(PostText("/v1/completions", R"({"prompt":[1,2],"max_tokens":100})"));
  ASSERT_TRUE(WaitFor([&] { return attention_->live() == 1; }));
  const HttpAnswer second = Post("/v1/completions", R"({"prompt":[1,2],"max_tokens":100})");
  EXPECT_EQ(second.status, 429);
  EXPECT_THAT(second.head, testing::HasSubstr("Retry-After: "));
  app_->Shutdown();
  EXPECT_EQ(StatusOf(first.ReadAll()), 503);
}

class GuardedTest : public OpenAiTest {
 protected:
  void SetUp() override {
    file_ = testing::TempDir() + "/keys-" + std::to_string(getpid());
    std::ofstream(file_) << "the-right-key\n";
    RouterConfig config = Config();
    config.http.api_key_file = file_;
    config.http.allowed_origins = {"http://page.example"};
    config.http.strict_requests = true;
    BringUp(config);
  }
  void TearDown() override { std::remove(file_.c_str()); }
  static std::string Key(const std::string& key) { return "Authorization: Bearer " + key + "\r\n"; }
  std::string file_;
};

TEST_F(GuardedTest, AsksForAKeyEverywhereButForHealth) {
  EXPECT_EQ(Get("/health").status, 200);
  EXPECT_EQ(Get("/v1/models").status, 401);
  EXPECT_EQ(Get("/server_info").status, 401);
  const std::string body = R"({"prompt":"a"})";
  for (const std::string& wrong : {std::string(), Key("the-wrong-key"), Key("the-right-ke"), Key("the-right-keyy"), Key(""), Key(std::string(20000, 'x'))}) {
    const HttpAnswer answer = Post("/v1/completions", body, wrong);
    EXPECT_EQ(answer.status, 401);
    EXPECT_EQ(answer.code(), "invalid_api_key");
    EXPECT_THAT(answer.head, testing::HasSubstr("WWW-Authenticate: Bearer"));
  }
  EXPECT_EQ(Post("/v1/completions", body, Key(std::string(1 << 20, 'x'))).status, 431);
  EXPECT_TRUE(attention_->saw_nothing());
  EXPECT_EQ(Post("/tokenize", body, Key("the-right-key")).status, 200);
}

TEST_F(GuardedTest, LetsPagesOfAllowedOriginsIn) {
  const HttpAnswer preflight = Ask("OPTIONS /v1/completions HTTP/1.0\r\nOrigin: http://page.example\r\n\r\n");
  EXPECT_EQ(preflight.status, 204);
  EXPECT_THAT(preflight.head, testing::HasSubstr("Access-Control-Allow-Origin: http://page.example"));
  EXPECT_EQ(Ask("OPTIONS /v1/completions HTTP/1.0\r\nOrigin: http://evil.example\r\n\r\n").status, 403);
  EXPECT_THAT(Ask("GET /health HTTP/1.0\r\nOrigin: http://evil.example\r\n\r\n").head, testing::Not(testing::HasSubstr("Allow-Origin")));
}

TEST_F(GuardedTest, StrictMeansNoUnknownField) {
  const HttpAnswer answer = Post("/v1/completions", R"({"prompt":"a","flavour":1})", Key("the-right-key"));
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.param(), "flavour");
  EXPECT_EQ(answer.code(), "unknown_parameter");
}

TEST_F(OpenAiTest, WrongSettingsAreNamed) {
  RouterConfig config = Config();
  config.http.api_key_file = "/nonexistent";
  EXPECT_THAT(std::string(App::Start(config).status().message()), testing::HasSubstr("--api-key-file"));
  config = Config();
  config.http.listen_http = "nonsense";
  EXPECT_THAT(std::string(App::Start(config).status().message()), testing::HasSubstr("--listen-http"));
}

}  // namespace
}  // namespace atoll::router::http
