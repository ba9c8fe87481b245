// What bodies mean, what answers and errors say; no server, no cluster.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error_info.h"
#include "router/http/api/answer_text.h"
#include "router/http/api/api_call.h"
#include "router/http/api/api_error.h"
#include "router/http/api/reasoning_split.h"
#include "router/http/door/readiness.h"
#include "router/http/http_door.h"
#include "router/request/validation.h"

namespace atoll::router::http {
namespace {

absl::StatusOr<ApiCall> Completion(const std::string& body) { return ReadCompletionCall(Json::parse(body), body); }
absl::StatusOr<ApiCall> Chat(const std::string& body) { return ReadChatCall(Json::parse(body), body); }

// "field: code" of the refusal; empty when it was none.
std::string RefusalOf(const absl::StatusOr<ApiCall>& call) {
  if (call.ok()) return "";
  const ApiError error = ToApiError(call.status());
  return error.status == 400 ? error.param + ": " + error.code : "status " + std::to_string(error.status);
}

TEST(CompletionCallTest, ReadsEveryField) {
  const auto api = Completion(R"({"model":"m","prompt":"hi","max_tokens":5,"temperature":0.5,"top_p":0.25,"top_k":-1,"min_p":0.125,"n":2,
    "stop":["a","b"],"stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true},"seed":-1,"logprobs":3,
    "frequency_penalty":0.5,"presence_penalty":-0.5,"repetition_penalty":1.5,"logit_bias":{"7":-100},"ignore_eos":true,"min_tokens":2,
    "stop_token_ids":[9],"skip_special_tokens":false,"include_stop_str_in_output":true,"user":"u","best_of":2,"whatever":1})");
  ASSERT_TRUE(api.ok()) << api.status();
  ASSERT_EQ(api->calls.size(), 1u);
  const GenerateCall& call = api->calls[0];
  EXPECT_EQ(call.model, "m");
  EXPECT_EQ(std::get<TextPrompt>(call.input).text, "hi");
  EXPECT_EQ(call.stopping.max_tokens, 5);
  EXPECT_EQ(call.stopping.min_tokens, 2);
  EXPECT_EQ(call.stopping.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(call.stopping.stop_token_ids, std::vector<int32_t>{9});
  EXPECT_TRUE(call.stopping.ignore_eos && call.stopping.keep_special_tokens && call.stopping.include_stop_string);
  EXPECT_EQ(call.sampling.temperature, 0.5F);
  EXPECT_EQ(call.sampling.top_p, 0.25F);
  EXPECT_EQ(call.sampling.top_k, 0);
  EXPECT_EQ(call.sampling.min_p, 0.125F);
  EXPECT_EQ(call.sampling.frequency_penalty, 0.5F);
  EXPECT_EQ(call.sampling.presence_penalty, -0.5F);
  EXPECT_EQ(call.sampling.repetition_penalty, 1.5F);
  EXPECT_EQ(call.sampling.logit_bias, (std::vector<std::pair<int32_t, float>>{{7, -100.0F}}));
  EXPECT_EQ(call.sampling.seed, UINT64_MAX);
  EXPECT_EQ(call.n, 2);
  EXPECT_EQ(call.logprobs, 3);
  EXPECT_TRUE(api->answer.stream && api->answer.include_usage && api->answer.continuous_usage);
  EXPECT_EQ(api->unknown, std::vector<std::string>{"whatever"});
}

TEST(CompletionCallTest, NullIsAbsentAndNeutralValuesAreFine) {
  const auto api = Completion(R"({"prompt":[1,2],"logprobs":null,"seed":null,"stop":null,"best_of":1,"suffix":"","echo":false,"priority":0,
    "use_beam_search":false,"length_penalty":1.0,"logit_bias":{},"stream_options":null,"response_format":{"type":"text"},"logprobs":null})");
  ASSERT_TRUE(api.ok()) << api.status();
  EXPECT_EQ(std::get<TokenPrompt>(api->calls[0].input), (TokenPrompt{1, 2}));
  EXPECT_EQ(api->calls[0].stopping.max_tokens, 16);
  EXPECT_EQ(api->calls[0].sampling.seed, std::nullopt);
  EXPECT_EQ(api->calls[0].logprobs, std::nullopt);
  EXPECT_TRUE(api->unknown.empty());
}

TEST(CompletionCallTest, ReadsPromptsOfEveryForm) {
  EXPECT_EQ(Completion(R"({"prompt":["a","b","c"]})")->calls.size(), 3u);
  const auto lists = Completion(R"({"prompt":[[1,2],[3]]})");
  ASSERT_EQ(lists->calls.size(), 2u);
  EXPECT_EQ(std::get<TokenPrompt>(lists->calls[1].input), TokenPrompt{3});
  EXPECT_EQ(RefusalOf(Completion("{}")), "prompt: invalid_value");
  EXPECT_EQ(RefusalOf(Completion(R"({"prompt":7})")), "prompt: invalid_value");
  EXPECT_EQ(RefusalOf(Completion(R"({"prompt":[1,"a"]})")), "prompt[1]: invalid_value");
  EXPECT_EQ(RefusalOf(Completion(R"({"prompt":["a",7]})")), "prompt[1]: invalid_value");
  EXPECT_EQ(RefusalOf(Completion(R"({"prompt":[[1],[2.5]]})")), "prompt[1][0]: invalid_value");
  std::string many = R"({"prompt":[)";
  for (size_t i = 0; i <= kPromptsMax; ++i) many += i > 0 ? ",\"a\"" : "\"a\"";
  EXPECT_EQ(RefusalOf(Completion(many + "]}")), "prompt: invalid_value");
}

TEST(CompletionCallTest, EchoWithLogprobsAsksForThePromptsToo) {
  EXPECT_TRUE(Completion(R"({"prompt":"a","echo":true,"logprobs":1})")->calls[0].prompt_logprobs);
  EXPECT_FALSE(Completion(R"({"prompt":"a","echo":true})")->calls[0].prompt_logprobs);
  EXPECT_FALSE(Completion(R"({"prompt":"a","logprobs":1})")->calls[0].prompt_logprobs);
}

TEST(CompletionCallTest, RefusesByNameWhatItDoesNotDo) {
  for (const char* field : {R"("suffix":"x")", R"("best_of":3)", R"("use_beam_search":true)", R"("prompt_logprobs":1)",
                            R"("allowed_token_ids":[1])", R"("truncate_prompt_tokens":5)", R"("add_special_tokens":false)", R"("guided_regex":"a")"}) {
    const std::string name = std::string(field).substr(1, std::string(field).find('"', 1) - 1);
    EXPECT_EQ(RefusalOf(Completion(std::string(R"({"prompt":"a",)") + field + "}")), name + ": unsupported_value");
  }
}

// One wrong type for every field: an error with its path, never anything else.
TEST(CompletionCallTest, NamesEveryWrongType) {
  for (const char* field : {"model", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "min_p", "n", "stop", "stream", "stream_options", "seed",
                            "logprobs", "frequency_penalty", "presence_penalty", "repetition_penalty", "logit_bias", "ignore_eos", "min_tokens", "stop_token_ids",
                            "skip_special_tokens", "include_stop_str_in_output", "best_of", "echo", "request_id", "return_token_ids", "response_format"}) {
    for (const char* value : {"{\"a\":{}}", "[[]]", "\"x\"", "true", "1.5", "-1e300"}) {
      const std::string body = std::string(R"({"prompt":"a",")") + field + "\":" + value + "}";
      const std::string refusal = RefusalOf(Completion(body));
      EXPECT_TRUE(refusal.empty() || refusal.find(field) == 0) << body << " -> " << refusal;
    }
  }
  EXPECT_EQ(RefusalOf(Completion(R"({"prompt":"a","stop":[1]})")), "stop[0]: invalid_value");
  EXPECT_EQ(RefusalOf(Completion(R"({"prompt":"a","stream_options":{"include_usage":1}})")), "stream_options.include_usage: invalid_value");
  EXPECT_EQ(RefusalOf(Completion(R"({"prompt":"a","max_tokens":1,"max_completion_tokens":2})")), "max_tokens: invalid_value");
  EXPECT_EQ(RefusalOf(Completion(R"({"prompt":"a","logit_bias":{"x":1}})")), "logit_bias: invalid_value");
}

TEST(ChatCallTest, ReadsMessagesWithPartsAndToolCalls) {
  const auto api = Chat(R"({"messages":[{"role":"developer","content":"be brief"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
    {"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},
    {"role":"tool","tool_call_id":"1","content":"42"}],"max_completion_tokens":4,"logprobs":true,"top_logprobs":2,"chat_template_kwargs":{"thinking":true}})");
  ASSERT_TRUE(api.ok()) << api.status();
  const auto& chat = std::get<ChatPrompt>(api->calls[0].input);
  ASSERT_EQ(chat.messages.size(), 4u);
  EXPECT_EQ(chat.messages[0].role, "system");
  EXPECT_EQ(chat.messages[1].content, "a\nb");
  EXPECT_EQ(chat.messages[2].content, std::nullopt);
  EXPECT_EQ(chat.messages[2].tool_calls[0].name, "f");
  EXPECT_EQ(chat.thinking, true);
  EXPECT_EQ(api->calls[0].stopping.max_tokens, 4);
  EXPECT_EQ(api->calls[0].logprobs, 2);
  EXPECT_EQ(Chat(R"({"messages":[{"role":"user","content":"a"}]})")->calls[0].stopping.max_tokens, std::nullopt);
}

TEST(ChatCallTest, RefusesByName) {
  const auto with = [](const std::string& field) { return RefusalOf(Chat(R"({"messages":[{"role":"user","content":"a"}],)" + field + "}")); };
  EXPECT_EQ(with(R"("chat_template":"{{x}}")"), "chat_template: unsupported_value");
  EXPECT_EQ(with(R"("chat_template_kwargs":{"enable_thinking":true})"), "chat_template_kwargs.enable_thinking: unsupported_value");
  EXPECT_EQ(with(R"("chat_template_kwargs":{"thinking":1})"), "chat_template_kwargs.thinking: invalid_value");
  EXPECT_EQ(with(R"("tools":[{"type":"retrieval"}])"), "tools[0].type: unsupported_value");
  EXPECT_EQ(with(R"("tools":[{"type":"function","function":{"name":"a b"}}])"), "tools[0].function.name: invalid_value");
  EXPECT_EQ(with(R"("tools":[{"function":{"name":"f"}},{"function":{"name":"f"}}])"), "tools[1].function.name: invalid_value");
  EXPECT_EQ(with(R"("tools":[{"function":{"name":"f"}}],"tool_choice":{"type":"function","function":{"name":"g"}})"), "tool_choice: invalid_value");
  EXPECT_EQ(with(R"("tools":[{"function":{"name":"f"}}],"tool_choice":"any")"), "tool_choice: invalid_value");
  EXPECT_EQ(with(R"("tool_choice":"required")"), "tool_choice: invalid_value");
  EXPECT_EQ(with(R"("functions":[{"name":"f"}])"), "functions: unsupported_value");
  EXPECT_EQ(with(R"("response_format":{"type":"json_schema"})"), "response_format.json_schema: invalid_value");
  EXPECT_EQ(with(R"("response_format":{"type":"json_schema","json_schema":{"name":"n"}})"), "response_format.json_schema.schema: invalid_value");
  EXPECT_EQ(with(R"("response_format":{"type":"regex"})"), "response_format.type: unsupported_value");
  EXPECT_EQ(with(R"("response_format":{"type":"json_object"},"guided_json":{})"), "response_format: invalid_value");
  EXPECT_EQ(with(R"("reasoning_effort":"high")"), "reasoning_effort: unsupported_value");
  EXPECT_EQ(with(R"("top_logprobs":2)"), "top_logprobs: invalid_value");
  EXPECT_EQ(with(R"("logprobs":true,"top_logprobs":21)"), "top_logprobs: invalid_value");
  EXPECT_EQ(with(R"("modalities":["audio"])"), "modalities: unsupported_value");
  EXPECT_EQ(with(R"("tools":[],"tool_choice":"none","modalities":["text"],"parallel_tool_calls":true,"add_generation_prompt":true)"), "");
}

TEST(ChatCallTest, RefusesMessagesThatAreNone) {
  const auto messages = [](const std::string& list) { return RefusalOf(Chat(R"({"messages":)" + list + "}")); };
  EXPECT_EQ(RefusalOf(Chat("{}")), "messages: invalid_value");
  EXPECT_EQ(messages("\"hi\""), "messages: invalid_value");
  EXPECT_EQ(messages("[7]"), "messages[0]: invalid_value");
  EXPECT_EQ(messages(R"([{"role":"root","content":"a"}])"), "messages[0].role: invalid_value");
  EXPECT_EQ(messages(R"([{"role":"user"}])"), "messages[0].content: invalid_value");
  EXPECT_EQ(messages(R"([{"role":"user","content":7}])"), "messages[0].content: invalid_value");
  EXPECT_EQ(messages(R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x/"}}]}])"), "messages[0].content[0].type: unsupported_value");
  EXPECT_EQ(messages(R"([{"role":"user","content":[{"type":"file","file":{"file_id":"file:///etc/passwd"}}]}])"), "messages[0].content[0].type: unsupported_value");
  EXPECT_EQ(messages(R"([{"role":"user","content":[{"type":"text"}]}])"), "messages[0].content[0].text: invalid_value");
  EXPECT_EQ(messages(R"([{"role":"assistant","tool_calls":[{"function":{"name":7}}]}])"), "messages[0].tool_calls[0].function.name: invalid_value");
  std::string many = "[";
  for (int i = 0; i < 100000; ++i) many += i > 0 ? ",{}" : "{}";
  EXPECT_EQ(messages(many + "]"), "messages: invalid_value");
}

TEST(ApiErrorTest, SaysItInOpenAiForm) {
  const ApiError error = ToApiError(InvalidField("sampling.temperature", "must be in [0, 100], found -1"));
  EXPECT_EQ(ErrorJson(error), R"({"error":{"message":"temperature: must be in [0, 100], found -1","type":"invalid_request_error","param":"temperature","code":"invalid_value"}})");
  const auto overloaded = WithErrorInfo(absl::ResourceExhaustedError("full"), {.reason = "QUEUE_FULL", .metadata = {}, .retry_after_ms = 1500});
  const Response response = ErrorResponse(overloaded);
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(response.headers, (Headers{{"Retry-After", "2"}}));
  EXPECT_EQ(ErrorResponse(absl::UnavailableError("x")).status, 503);
  EXPECT_EQ(ErrorResponse(absl::UnavailableError("x")).headers.size(), 1u);
  EXPECT_EQ(ErrorResponse(absl::DeadlineExceededError("x")).status, 504);
  EXPECT_EQ(ErrorResponse(absl::InternalError("x")).status, 500);
  EXPECT_EQ(ErrorResponse(absl::NotFoundError("x")).status, 404);
  EXPECT_EQ(ErrorResponse(absl::AlreadyExistsError("x")).status, 409);
  EXPECT_EQ(ErrorResponse(401, "x").headers, (Headers{{"WWW-Authenticate", "Bearer"}}));
}

TEST(AnswerTextTest, WritesEventsToTheByte) {
  const AnswerFacts facts{.id = "cmpl-1", .model = "m", .fingerprint = "fp", .created_s = 9};
  const AnswerText plain({.kind = AnswerKind::kCompletion, .stream = true}, facts, nullptr);
  std::string out;
  plain.AppendEvent({.index = 1, .text = "a\n"}, {}, out);
  EXPECT_EQ(out, "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":9,\"model\":\"m\",\"system_fingerprint\":\"fp\","
                 "\"choices\":[{\"index\":1,\"text\":\"a\\n\",\"logprobs\":null,\"finish_reason\":null}]}\n\n");
  out.clear();
  plain.AppendEnd({3, 4}, out);
  EXPECT_EQ(out, "data: [DONE]\n\n");
  const AnswerText chat({.kind = AnswerKind::kChat, .stream = true, .include_usage = true}, facts, nullptr);
  out.clear();
  chat.AppendEvent({.index = 0, .text = "b"}, {}, out);
  EXPECT_EQ(out, "data: {\"id\":\"cmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":9,\"model\":\"m\",\"system_fingerprint\":\"fp\","
                 "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"b\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n");
  out.clear();
  chat.AppendEvent({.index = 0, .text = "", .finish = FinishReason::kStop, .stop_string = "END", .first = false}, {}, out);
  EXPECT_NE(out.find("\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\",\"stop_reason\":\"END\"}"), std::string::npos) << out;
  out.clear();
  chat.AppendEnd({3, 4}, out);
  EXPECT_EQ(out.substr(out.find("\"choices\"")), "\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}\n\ndata: [DONE]\n\n");
}

TEST(AnswerTextTest, WritesLogprobsOfBothKinds) {
  const std::vector<SampledToken> tokens{{.token_id = 5, .logprob = -0.5F, .top = {{6, -0.25F}}}};
  AnswerOptions options{.kind = AnswerKind::kCompletion, .return_token_ids = true, .logprobs = 1};
  const AnswerChoice choice{.index = 0, .text = "", .tokens = tokens, .finish = FinishReason::kLength};
  const std::string completion = AnswerText(options, {}, nullptr).Whole({&choice, 1}, {1, 1});
  EXPECT_NE(completion.find(R"("logprobs":{"tokens":["token_id:5"],"token_logprobs":[-0.5],"top_logprobs":[{"token_id:6":-0.25,"token_id:5":-0.5}],"text_offset":[0]},"token_ids":[5])"),
            std::string::npos) << completion;
  options.kind = AnswerKind::kChat;
  const std::string chat = AnswerText(options, {}, nullptr).Whole({&choice, 1}, {1, 1});
  EXPECT_NE(chat.find(R"("logprobs":{"content":[{"token":"token_id:5","logprob":-0.5,"bytes":[],"top_logprobs":[{"token":"token_id:6","logprob":-0.25,"bytes":[]}]}],"refusal":null})"),
            std::string::npos) << chat;
  EXPECT_TRUE(Json::accept(chat));
}

TEST(ReasoningSplitTest, DependsOnTheTextAloneNotOnItsPieces) {
  const std::string text = "a < b </thin </think>\n\nanswer </think> more";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    ReasoningSplit split;
    std::string reasoning, content;
    split.Append(text.substr(0, cut), reasoning, content);
    split.Append(text.substr(cut), reasoning, content);
    split.Flush(reasoning);
    EXPECT_EQ(reasoning, "a < b </thin ") << cut;
    EXPECT_EQ(content, "\n\nanswer </think> more") << cut;
  }
  ReasoningSplit unfinished;
  std::string reasoning, content;
  unfinished.Append("hm </thi", reasoning, content);
  EXPECT_EQ(reasoning, "hm ");
  unfinished.Flush(reasoning);
  EXPECT_EQ(reasoning, "hm </thi");
}

TEST(ApiKeysTest, KnowsItsKeysAndNothingElse) {
  const auto keys = ApiKeys::Parse("# ours\nkey-one-1\n\n  sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b  \n", "f");
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_TRUE(keys->Allows("Bearer key-one-1"));
  EXPECT_TRUE(keys->Allows("bearer  key-one-1 "));
  EXPECT_TRUE(keys->Allows("Bearer secret"));  // whose digest the second line is
  for (const char* wrong : {"", "Bearer", "Bearer ", "key-one-1", "Basic key-one-1", "Bearer key-one-", "Bearer key-one-12", "Bearer # ours"}) {
    EXPECT_FALSE(keys->Allows(wrong)) << wrong;
  }
  EXPECT_FALSE(keys->Allows("Bearer " + std::string(1 << 20, 'x')));
  EXPECT_TRUE(ApiKeys().Allows(""));
  for (const char* wrong : {"", "# nothing\n", "short", "has a blank", "sha256:12"}) EXPECT_FALSE(ApiKeys::Parse(wrong, "f").ok()) << wrong;
  EXPECT_EQ(std::string(ApiKeys::Parse("has a blank-secret", "f").status().message()).find("secret"), std::string::npos);
}

TEST(ReadinessTest, FollowsTheTruthTable) {
  struct Row {
    const char* name;
    ClusterHealth health;
    int livez, startupz, readyz;
    bool models;
    const char* in_body;
  };
  const NodeProgress loading{.node_id = "e0", .expert = true, .loading = true, .loaded_bytes = 10, .to_load_bytes = 90};
  const NodeProgress lost{.node_id = "e1", .expert = true, .lost = true};
  const Row rows[] = {
      {"joining", {.not_ready_reason = "r", .missing_expert_nodes = 2}, 200, 503, 503, false, "\"phase\":\"join\",\"missing_expert_nodes\":2"},
      {"loading", {.not_ready_reason = "r", .uptime_ms = 2000, .nodes = {loading}}, 200, 503, 503, false, "\"phase\":\"load_weights\",\"done_bytes\":10,\"total_bytes\":100,\"eta_s\":18}"},
      {"serving", {.ready = true, .was_ready = true}, 200, 200, 200, true, "{\"status\":\"ok\"}"},
      {"a replica short", {.ready = true, .was_ready = true, .nodes = {lost}}, 200, 200, 200, true, "\"degraded\":[\"e1\"]"},
      {"an expert without host", {.not_ready_reason = "e1 is lost", .was_ready = true}, 200, 200, 503, true, "\"message\":\"e1 is lost\",\"type\":\"unavailable_error\",\"param\":null,\"code\":503},\"phase\":\"interrupted\"}"},
      {"draining", {.ready = true, .was_ready = true, .draining = true}, 200, 200, 503, false, "\"phase\":\"draining\""},
      {"stuck", {.ready = true, .was_ready = true, .stuck = true}, 503, 200, 503, false, "\"phase\":\"stuck\""},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(Livez(row.health).status, row.livez) << row.name;
    EXPECT_EQ(Startupz(row.health).status, row.startupz) << row.name;
    EXPECT_EQ(Readyz(row.health).status, row.readyz) << row.name;
    EXPECT_EQ(ModelIsServed(row.health), row.models) << row.name;
    EXPECT_NE(Readyz(row.health).body.find(row.in_body), std::string::npos) << row.name << ": " << Readyz(row.health).body;
    EXPECT_TRUE(Json::accept(Readyz(row.health).body)) << row.name;
  }
}

TEST(ListenAddressTest, FollowsPortZeroUnlessConfigured) {
  EXPECT_EQ(ListenAddressOr("", "127.0.0.1:8000", "127.0.0.1:50051"), "127.0.0.1:8000");
  EXPECT_EQ(ListenAddressOr("", "127.0.0.1:8000", "0.0.0.0:0"), "127.0.0.1:0");
  EXPECT_EQ(ListenAddressOr("0.0.0.0:80", "127.0.0.1:8000", "127.0.0.1:0"), "0.0.0.0:80");
}

}  // namespace
}  // namespace atoll::router::http
