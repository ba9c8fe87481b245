// Rows B07 to B12 and B15 of the bad-input matrix on the pure checks; tests/router/bad_input_test.cc has them over gRPC.

#include "router/request/validation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "base/error_info.h"

namespace atoll::router {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

RequestLimits Limits() {
  RequestLimits limits;
  limits.model_name = "tales";
  limits.vocabulary_size = 100;
  limits.context_length = 64;
  limits.has_tokenizer = true;
  limits.prompt_bytes_max = 640;
  limits.temperature = 0.6f;
  limits.top_p = 0.95f;
  limits.deadline_ms_max = 60000;
  return limits;
}

GenerateCall Call() {
  GenerateCall call;
  call.input = TokenPrompt{1, 2, 3};
  return call;
}

struct Row {
  const char* name;
  std::function<void(GenerateCall&)> change;
  absl::StatusCode code;
  const char* field;  // of the error's metadata; empty: none
};

class BadCalls : public testing::TestWithParam<Row> {};

TEST_P(BadCalls, AreRefusedByName) {
  GenerateCall call = Call();
  GetParam().change(call);
  const absl::Status status = ValidateCall(call, Limits());
  EXPECT_EQ(status.code(), GetParam().code) << status;
  ASSERT_TRUE(GetErrorInfo(status).has_value());
  const ErrorInfo info = *GetErrorInfo(status);
  EXPECT_FALSE(info.reason.empty());
  if (*GetParam().field == 0) return;
  EXPECT_EQ(info.metadata.at("field"), GetParam().field) << status;
}

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

const Row kRows[] = {
    {"B07_n_0", [](GenerateCall& c) { c.n = 0; }, kInvalid, "n"},
    {"B07_n_129", [](GenerateCall& c) { c.n = 129; }, kInvalid, "n"},
    {"B07_n_billion", [](GenerateCall& c) { c.n = 1000000000; }, kInvalid, "n"},
    {"B07_logprobs_negative", [](GenerateCall& c) { c.logprobs = -1; }, kInvalid, "logprobs"},
    {"B07_logprobs_million", [](GenerateCall& c) { c.logprobs = 1000000; }, kInvalid, "logprobs"},
    {"B07_top_k_negative", [](GenerateCall& c) { c.sampling.top_k = -1; }, kInvalid, "sampling.top_k"},
    {"B07_stop_list", [](GenerateCall& c) { c.stopping.stop.assign(100000, "x"); }, kInvalid, "stopping.stop"},
    {"B07_stop_empty", [](GenerateCall& c) { c.stopping.stop = {""}; }, kInvalid, "stopping.stop"},
    {"B07_stop_long", [](GenerateCall& c) { c.stopping.stop = {std::string(1025, 'x')}; }, kInvalid, "stopping.stop"},
    {"B07_stop_tokens", [](GenerateCall& c) { c.stopping.stop_token_ids.assign(65, 1); }, kInvalid, "stopping.stop_token_ids"},
    {"B07_bias_list", [](GenerateCall& c) { c.sampling.logit_bias.assign(1025, {1, 0.0f}); }, kInvalid, "sampling.logit_bias"},
    {"B08_temperature_nan", [](GenerateCall& c) { c.sampling.temperature = kNan; }, kInvalid, "sampling.temperature"},
    {"B08_temperature_inf", [](GenerateCall& c) { c.sampling.temperature = kInf; }, kInvalid, "sampling.temperature"},
    {"B08_temperature_minus_inf", [](GenerateCall& c) { c.sampling.temperature = -kInf; }, kInvalid, "sampling.temperature"},
    {"B08_temperature_huge", [](GenerateCall& c) { c.sampling.temperature = 3e38f; }, kInvalid, "sampling.temperature"},
    {"B08_temperature_negative", [](GenerateCall& c) { c.sampling.temperature = -0.1f; }, kInvalid, "sampling.temperature"},
    {"B08_top_p_nan", [](GenerateCall& c) { c.sampling.top_p = kNan; }, kInvalid, "sampling.top_p"},
    {"B08_top_p_0", [](GenerateCall& c) { c.sampling.top_p = 0.0f; }, kInvalid, "sampling.top_p"},
    {"B08_top_p_2", [](GenerateCall& c) { c.sampling.top_p = 2.0f; }, kInvalid, "sampling.top_p"},
    {"B08_min_p_nan", [](GenerateCall& c) { c.sampling.min_p = kNan; }, kInvalid, "sampling.min_p"},
    {"B08_min_p_above_1", [](GenerateCall& c) { c.sampling.min_p = 1.1f; }, kInvalid, "sampling.min_p"},
    {"B08_presence_nan", [](GenerateCall& c) { c.sampling.presence_penalty = kNan; }, kInvalid, "sampling.presence_penalty"},
    {"B08_frequency_3", [](GenerateCall& c) { c.sampling.frequency_penalty = 3.0f; }, kInvalid, "sampling.frequency_penalty"},
    {"B08_repetition_nan", [](GenerateCall& c) { c.sampling.repetition_penalty = kNan; }, kInvalid, "sampling.repetition_penalty"},
    {"B08_repetition_0", [](GenerateCall& c) { c.sampling.repetition_penalty = 0.0f; }, kInvalid, "sampling.repetition_penalty"},
    {"B08_bias_nan", [](GenerateCall& c) { c.sampling.logit_bias = {{1, kNan}}; }, kInvalid, "sampling.logit_bias"},
    {"B08_bias_minus_inf", [](GenerateCall& c) { c.sampling.logit_bias = {{1, -kInf}}; }, kInvalid, "sampling.logit_bias"},
    {"B09_max_tokens_0", [](GenerateCall& c) { c.stopping.max_tokens = 0; }, kInvalid, "stopping.max_tokens"},
    {"B09_max_tokens_negative", [](GenerateCall& c) { c.stopping.max_tokens = -1; }, kInvalid, "stopping.max_tokens"},
    {"B09_max_tokens_2_31", [](GenerateCall& c) { c.stopping.max_tokens = int64_t{1} << 31; }, kInvalid, "stopping.max_tokens"},
    {"B09_max_tokens_2_63", [](GenerateCall& c) { c.stopping.max_tokens = INT64_MAX; }, kInvalid, "stopping.max_tokens"},
    {"B09_min_above_max", [](GenerateCall& c) { c.stopping.max_tokens = 5; c.stopping.min_tokens = 6; }, kInvalid, "stopping.min_tokens"},
    {"B09_min_negative", [](GenerateCall& c) { c.stopping.min_tokens = -1; }, kInvalid, "stopping.min_tokens"},
    {"B10_prompt_negative", [](GenerateCall& c) { c.input = TokenPrompt{1, -1}; }, kInvalid, "token_ids"},
    {"B10_prompt_vocab", [](GenerateCall& c) { c.input = TokenPrompt{100}; }, kInvalid, "token_ids"},
    {"B10_prompt_int_min", [](GenerateCall& c) { c.input = TokenPrompt{INT32_MIN}; }, kInvalid, "token_ids"},
    {"B10_bias_vocab", [](GenerateCall& c) { c.sampling.logit_bias = {{100, 1.0f}}; }, kInvalid, "sampling.logit_bias"},
    {"B10_stop_vocab_1", [](GenerateCall& c) { c.stopping.stop_token_ids = {101}; }, kInvalid, "stopping.stop_token_ids"},
    {"B11_no_input", [](GenerateCall& c) { c.input = std::monostate(); }, kInvalid, "input"},
    {"B11_prompt_fills_context", [](GenerateCall& c) { c.input = TokenPrompt(64, 1); }, kInvalid, "token_ids"},
    {"B11_prompt_of_ten_million", [](GenerateCall& c) { c.input = TokenPrompt(10000000, 1); }, kInvalid, "token_ids"},
    {"B11_text_too_long", [](GenerateCall& c) { c.input = TextPrompt{std::string(641, 'x')}; }, kInvalid, "text"},
    {"B11_chat_empty", [](GenerateCall& c) { c.input = ChatPrompt{}; }, kInvalid, "chat.messages"},
    {"B12_deadline_past", [](GenerateCall& c) { c.deadline_ms = -3; }, absl::StatusCode::kDeadlineExceeded, ""},
    {"B12_deadline_now", [](GenerateCall& c) { c.deadline_ms = 0; }, absl::StatusCode::kDeadlineExceeded, ""},
    {"B13_request_id_bad", [](GenerateCall& c) { c.request_id = "a b"; }, kInvalid, "request_id"},
    {"B13_request_id_long", [](GenerateCall& c) { c.request_id = std::string(129, 'a'); }, kInvalid, "request_id"},
    {"B15_unknown_model", [](GenerateCall& c) { c.model = "other"; }, absl::StatusCode::kNotFound, ""},
    {"B15_path_model", [](GenerateCall& c) { c.model = "../tales"; }, absl::StatusCode::kNotFound, ""},
    {"B15_nul_model", [](GenerateCall& c) { c.model = std::string("tales\0", 6); }, kInvalid, "model"},
    {"B15_huge_model", [](GenerateCall& c) { c.model = std::string(1 << 20, 'm'); }, kInvalid, "model"},
};

INSTANTIATE_TEST_SUITE_P(Validation, BadCalls, testing::ValuesIn(kRows), [](const auto& info) { return info.param.name; });

TEST(Validation, TextNeedsATokenizer) {
  RequestLimits limits = Limits();
  limits.has_tokenizer = false;
  GenerateCall call = Call();
  EXPECT_TRUE(ValidateCall(call, limits).ok());
  call.stopping.stop = {"x"};
  EXPECT_EQ(ValidateCall(call, limits).code(), absl::StatusCode::kFailedPrecondition);
  call = Call();
  call.input = TextPrompt{"x"};
  EXPECT_EQ(ValidateCall(call, limits).code(), absl::StatusCode::kFailedPrecondition);
}

TEST(Validation, EdgesAreAdmitted) {
  GenerateCall call = Call();
  call.n = 128;
  call.logprobs = 20;
  call.model = "tales";
  call.request_id = std::string(128, 'a');
  call.sampling = {.temperature = 0.0f, .top_p = 1.0f, .top_k = 0, .min_p = 1.0f, .presence_penalty = -2.0f, .frequency_penalty = 2.0f,
                   .repetition_penalty = 2.0f, .logit_bias = {{0, -100.0f}, {99, 100.0f}}, .seed = 0};
  call.stopping.max_tokens = 61;
  call.stopping.min_tokens = 61;
  call.stopping.stop.assign(16, std::string(1024, 'x'));
  call.stopping.stop_token_ids.assign(64, 99);
  EXPECT_TRUE(ValidateCall(call, Limits()).ok()) << ValidateCall(call, Limits());
  EXPECT_TRUE(MakeRequest(call, {1, 2, 3}, Limits()).ok());
}

TEST(Validation, AbsentFieldsTakeTheModelsDefaults) {
  const auto request = MakeRequest(Call(), {1, 2, 3}, Limits());
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->n, 1);
  EXPECT_EQ(request->sampling.temperature, 0.6f);
  EXPECT_EQ(request->sampling.top_p, 0.95f);
  EXPECT_EQ(request->sampling.top_k, 0);
  EXPECT_EQ(request->sampling.repetition_penalty, 1);
  EXPECT_EQ(request->max_tokens, 61);  // to the end of the context
  EXPECT_EQ(request->logprobs, -1);
  EXPECT_EQ(request->deadline_ms, 60000);
}

TEST(Validation, PromptAndTokensMustFitTheContext) {
  GenerateCall call = Call();
  call.stopping.max_tokens = 62;
  EXPECT_EQ(MakeRequest(call, {1, 2, 3}, Limits()).status().code(), kInvalid);
  EXPECT_EQ(MakeRequest(Call(), {}, Limits()).status().code(), kInvalid);
  EXPECT_EQ(MakeRequest(Call(), std::vector<int32_t>(64, 1), Limits()).status().code(), kInvalid);
  call = Call();
  call.stopping.min_tokens = 62;
  EXPECT_EQ(MakeRequest(call, {1, 2, 3}, Limits()).status().code(), kInvalid);
}

TEST(Validation, ALongDeadlineIsCutAtTheServersMaximum) {
  GenerateCall call = Call();
  call.deadline_ms = 1;
  EXPECT_EQ(MakeRequest(call, {1}, Limits())->deadline_ms, 1);
  call.deadline_ms = 1000000000;
  EXPECT_EQ(MakeRequest(call, {1}, Limits())->deadline_ms, 60000);
}

}  // namespace
}  // namespace atoll::router
