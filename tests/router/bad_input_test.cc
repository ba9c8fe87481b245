// Rows of the bad-input matrix (B) over real gRPC: a clear error with the stated code, and nothing else disturbed.

#include <gmock/gmock.h>

#include <limits>
#include <random>

#include "tests/router/raw_call.h"
#include "tests/router/router_fixture.h"

namespace atoll::router {
namespace {

using absl::StatusCode;

class BadInput : public RouterFixture {
 protected:
  void SetUp() override {
    BringUp();
    attention_->StartStepping();
  }
  // After each row an ordinary request is answered, and the bad one never came to the attention node.
  void TearDown() override {
    EXPECT_TRUE(attention_->saw_nothing());
    EXPECT_TRUE(Generate(OfIds({1}, 3)).status.ok());
  }

  grpc::Status CallWithBytes(const std::string& method, const std::string& bytes) { return router::CallWithBytes(channel_, method, bytes).status; }

  void ExpectInvalid(const v1::GenerateRequest& request, const std::string& field) {
    const Answer answer = Generate(request);
    EXPECT_EQ(answer.status.code(), StatusCode::kInvalidArgument) << answer.status;
    EXPECT_EQ(answer.reason(), "INVALID_FIELD");
    EXPECT_EQ(GetErrorInfo(answer.status).value_or(ErrorInfo{}).metadata["field"], field);
  }
};

constexpr char kGenerate[] = "/atoll.v1.InferenceService/Generate";
constexpr char kTokenize[] = "/atoll.v1.InferenceService/Tokenize";

TEST_F(BadInput, B01_MessageOverTheLimit) {
  const grpc::Status status = CallWithBytes(kTokenize, std::string((16 << 20) + 1, 'x'));
  EXPECT_EQ(status.error_code(), grpc::RESOURCE_EXHAUSTED) << status.error_message();
}

TEST_F(BadInput, B02_RandomBytes) {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    std::string bytes(1 + random() % 300, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    bytes[0] = '\xFF';  // a field number that no parser accepts
    const grpc::Status status = CallWithBytes(kTokenize, bytes);
    EXPECT_TRUE(status.error_code() == grpc::INTERNAL || status.error_code() == grpc::INVALID_ARGUMENT ||
                status.error_code() == grpc::UNIMPLEMENTED)
        << "seed " << seed << ": " << status.error_code() << " " << status.error_message();
  }
}

TEST_F(BadInput, B02_TruncatedAtEveryLength) {
  v1::GenerateRequest request = OfIds({-1}, 3);  // refused also when it parses
  request.set_model("tales");
  const std::string whole = request.SerializeAsString();
  for (size_t length = 0; length < whole.size(); ++length) {
    const grpc::Status status = CallWithBytes(kGenerate, whole.substr(0, length));
    EXPECT_FALSE(status.ok()) << length;
  }
}

TEST_F(BadInput, B03_DeepNestingAndLyingLengths) {
  std::string groups(10000, '\x0B');  // start-group of field 1, again and again
  EXPECT_FALSE(CallWithBytes(kTokenize, groups).ok());
  EXPECT_FALSE(CallWithBytes(kGenerate, std::string("\x22\xFF\xFF\xFF\xFF\x07", 6)).ok());  // token_ids of 2 GiB that are not there
  v1::GenerateRequest request;
  for (int i = 0; i < 1000000; ++i) request.mutable_chat()->add_messages();
  const Answer answer = Generate(request);
  EXPECT_EQ(answer.status.code(), StatusCode::kInvalidArgument) << answer.status;
}

TEST_F(BadInput, B04_UnknownMethodAndService) {
  EXPECT_EQ(CallWithBytes("/atoll.v1.InferenceService/Guess", "").error_code(), grpc::UNIMPLEMENTED);
  EXPECT_EQ(CallWithBytes("/atoll.v9.Nothing/Generate", "").error_code(), grpc::UNIMPLEMENTED);
}

TEST_F(BadInput, B04_TwoRequestsOnACallThatTakesOne) {
  v1::TokenizeRequest tokenize;
  tokenize.set_text("once");
  EXPECT_EQ(CallTwice(channel_, kTokenize, tokenize.SerializeAsString()).error_code(), grpc::UNIMPLEMENTED);
  EXPECT_EQ(CallTwice(channel_, kGenerate, OfIds({-1}, 3).SerializeAsString()).error_code(), grpc::UNIMPLEMENTED);
}

TEST_F(BadInput, B07_FanOutAndListsAreCapped) {
  v1::GenerateRequest request = OfIds({1}, 3);
  request.set_n(1000000000);
  ExpectInvalid(request, "n");
  request = OfIds({1}, 3);
  request.set_logprobs(1000000);
  ExpectInvalid(request, "logprobs");
  request = OfIds({1}, 3);
  request.mutable_sampling()->set_top_k(-1);
  ExpectInvalid(request, "sampling.top_k");
  request = OfIds({1}, 3);
  for (int i = 0; i < 100000; ++i) request.mutable_stopping()->add_stop("x");
  ExpectInvalid(request, "stopping.stop");
}

TEST_F(BadInput, B08_NumbersThatAreNone) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity(), 3e38f}) {
    v1::GenerateRequest request = OfIds({1}, 3);
    request.mutable_sampling()->set_temperature(bad);
    ExpectInvalid(request, "sampling.temperature");
    request = OfIds({1}, 3);
    request.mutable_sampling()->set_top_p(bad);
    ExpectInvalid(request, "sampling.top_p");
    request = OfIds({1}, 3);
    request.mutable_sampling()->set_presence_penalty(bad);
    ExpectInvalid(request, "sampling.presence_penalty");
  }
  v1::GenerateRequest request = OfIds({1}, 3);
  request.mutable_sampling()->set_top_p(0);
  ExpectInvalid(request, "sampling.top_p");
}

TEST_F(BadInput, B09_MaxAndMinTokens) {
  for (const int64_t bad : {int64_t{-1}, int64_t{1} << 31, INT64_MIN}) ExpectInvalid(OfIds({1}, bad), "stopping.max_tokens");
  v1::GenerateRequest request = OfIds({1}, 3);
  request.mutable_stopping()->set_max_tokens(0);
  ExpectInvalid(request, "stopping.max_tokens");
  request = OfIds({1}, 3);
  request.mutable_stopping()->set_min_tokens(4);
  ExpectInvalid(request, "stopping.min_tokens");
}

TEST_F(BadInput, B10_TokenIdsOutsideTheVocabulary) {
  for (const int32_t bad : {-1, 4096, 4097, INT32_MAX}) {
    ExpectInvalid(OfIds({1, bad}, 3), "token_ids");
    v1::GenerateRequest request = OfIds({1}, 3);
    (*request.mutable_sampling()->mutable_logit_bias())[bad] = 1;
    ExpectInvalid(request, "sampling.logit_bias");
    request = OfIds({1}, 3);
    request.mutable_stopping()->add_stop_token_ids(bad);
    ExpectInvalid(request, "stopping.stop_token_ids");
  }
}

TEST_F(BadInput, B11_PromptsThatAreEmptyOrTooLong) {
  ExpectInvalid(OfIds({}, 3), "input");
  ExpectInvalid(OfIds(std::vector<int32_t>(2048, 1), 0), "token_ids");
  ExpectInvalid(OfIds(std::vector<int32_t>(10'000'000, 1), 0), "token_ids");
  ExpectInvalid(OfIds(std::vector<int32_t>(2047, 1), 2), "stopping.max_tokens");
  v1::GenerateRequest request;
  request.set_text(std::string(4 << 20, 'x'));
  ExpectInvalid(request, "text");
  ExpectInvalid({}, "input");
}

TEST_F(BadInput, B12_ADeadlineThatHasPassed) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() - std::chrono::seconds(1));
  const auto reader = stub_->Generate(&context, OfIds({1}, 3));
  EXPECT_EQ(Finish(*reader).status.code(), StatusCode::kDeadlineExceeded);
}

TEST_F(BadInput, B15_ModelNames) {
  v1::GenerateRequest request = OfIds({1}, 3);
  for (const char* name : {"other", "../tales", "tales/"}) {
    request.set_model(name);
    const Answer answer = Generate(request);
    EXPECT_EQ(answer.status.code(), StatusCode::kNotFound) << answer.status;
    EXPECT_EQ(answer.reason(), "MODEL_NOT_FOUND");
  }
  request.set_model(std::string("tales\0x", 7));
  ExpectInvalid(request, "model");
  request.set_model(std::string(1 << 20, 'm'));
  ExpectInvalid(request, "model");
}

class BadInputRunning : public RouterFixture {};

TEST_F(BadInputRunning, B13_DuplicateRequestId) {
  BringUp();
  grpc::ClientContext context;
  v1::GenerateRequest request = OfIds({1}, 3);
  request.set_request_id("same");
  const auto reader = stub_->Generate(&context, request);
  ASSERT_TRUE(WaitFor([&] { return attention_->live() == 1; }));
  const Answer second = Generate(request);
  EXPECT_EQ(second.status.code(), StatusCode::kAlreadyExists) << second.status;
  attention_->StartStepping();
  EXPECT_TRUE(Finish(*reader).status.ok());
  EXPECT_TRUE(Generate(request).status.ok());  // free again
}

TEST_F(BadInputRunning, B12_NoDeadlineGetsTheServersMaximum) {
  RouterConfig config = Config();
  config.request_timeout_ms = 100;
  BringUp(config);
  grpc::ClientContext context;  // without a deadline, on a node that never answers
  const auto reader = stub_->Generate(&context, OfIds({1}, 3));
  const Answer answer = Finish(*reader);
  EXPECT_EQ(answer.status.code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(attention_->submitted()[0].deadline_ms(), 100u);
  EXPECT_TRUE(WaitIdle());
}

TEST_F(BadInputRunning, B12_AShortDeadlineEndsAndFrees) {
  BringUp();
  const Answer answer = Generate(OfIds({1}, 3), std::chrono::milliseconds(100));
  EXPECT_EQ(answer.status.code(), StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(WaitIdle());
}

TEST_F(BadInputRunning, OverloadIsRefusedAtOnceWithARetryDelay) {
  RouterConfig config = Config();
  config.admission.requests_max = 1;
  BringUp(config);
  grpc::ClientContext context;
  const auto reader = stub_->Generate(&context, OfIds({1}, 3));
  ASSERT_TRUE(WaitFor([&] { return attention_->live() == 1; }));
  const Answer refused = Generate(OfIds({1}, 3));
  EXPECT_EQ(refused.status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(refused.reason(), "TOO_MANY_REQUESTS");
  EXPECT_TRUE(GetErrorInfo(refused.status)->retry_after_ms.has_value());
  attention_->StartStepping();
  EXPECT_TRUE(Finish(*reader).status.ok());
}

}  // namespace
}  // namespace atoll::router
