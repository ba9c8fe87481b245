#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>

#include <random>
#include <thread>

#include "tests/router/raw_call.h"
#include "tests/router/router_fixture.h"

namespace atoll::router {
namespace {

class GenerateTest : public RouterFixture {
 protected:
  void SetUp() override { BringUp(); }
};

TEST_F(GenerateTest, StreamsTokensTextAndASummary) {
  attention_->StartStepping();
  v1::GenerateRequest request = OfIds({1, 2, 3}, 5);
  request.mutable_sampling()->set_seed(42);
  const Answer answer = Generate(request);
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_THAT(answer.ids.at(0), testing::ElementsAre(100, 101, 102, 103, 104));
  EXPECT_EQ(answer.text.at(0), *app_->front_door().Detokenize(answer.ids.at(0)));
  EXPECT_EQ(answer.finish.at(0), v1::FINISH_REASON_LENGTH);
  EXPECT_EQ(answer.last.usage().prompt_tokens(), 3);
  EXPECT_EQ(answer.last.usage().completion_tokens(), 5);
  EXPECT_EQ(answer.last.seed(), 42u);
  EXPECT_EQ(answer.last.timing().steps(), 5);
  EXPECT_GT(answer.last.timing().first_token_us(), 0);
  EXPECT_FALSE(answer.last.request_id().empty());
}

TEST_F(GenerateTest, DefaultsComeFromTheModelAndReachTheNode) {
  attention_->StartStepping();
  const Answer answer = Generate(OfIds({1, 2, 3}, 0));
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(answer.ids.at(0).size(), 2045u);
  ASSERT_EQ(attention_->submitted().size(), 1u);
  const v1::SubmitSequence submit = attention_->submitted()[0];
  EXPECT_FLOAT_EQ(submit.sampling().temperature(), 0.8f);
  EXPECT_FLOAT_EQ(submit.sampling().top_p(), 0.95f);
  EXPECT_EQ(submit.sampling().repetition_penalty(), 1);
  EXPECT_EQ(submit.sampling().seed(), answer.last.seed());
  EXPECT_EQ(submit.logprobs(), -1);
  EXPECT_GT(submit.deadline_ms(), 0u);
  EXPECT_LE(submit.deadline_ms(), 25000u);  // the wire rounds a deadline up
}

TEST_F(GenerateTest, AConstraintReachesTheNodeOrIsRefusedBeforeIt) {
  attention_->StartStepping();
  v1::GenerateRequest request = OfIds({1, 2, 3}, 2);
  request.set_json_schema(R"({"type":"object","properties":{"b":{},"a":{}}})");
  ASSERT_TRUE(Generate(request).status.ok());
  EXPECT_EQ(attention_->submitted()[0].constraint().json_schema(), request.json_schema());
  EXPECT_FALSE(attention_->submitted()[0].constraint().after_thinking());
  request.set_json_object(true);
  ASSERT_TRUE(Generate(request).status.ok());
  EXPECT_TRUE(attention_->submitted()[1].constraint().json_object());
  request.mutable_token_ids()->add_ids(4094);  // <think>
  ASSERT_TRUE(Generate(request).status.ok());
  EXPECT_TRUE(attention_->submitted()[2].constraint().after_thinking());
  request.set_json_schema(R"({"type":"string","pattern":"a"})");
  const Answer unsupported = Generate(request);
  EXPECT_TRUE(absl::IsInvalidArgument(unsupported.status)) << unsupported.status;
  EXPECT_EQ(unsupported.reason(), "UNSUPPORTED_VALUE");
  EXPECT_THAT(std::string(unsupported.status.message()), testing::HasSubstr("json_schema: $: the keyword \"pattern\""));
  request.set_json_schema("{");
  EXPECT_EQ(Generate(request).reason(), "INVALID_FIELD");
  EXPECT_EQ(attention_->submitted().size(), 3u);
}

TEST_F(GenerateTest, TextIsTokenizedWithBosAndChatRendered) {
  attention_->StartStepping();
  v1::GenerateRequest request;
  request.set_text("Once upon a time");
  request.mutable_stopping()->set_max_tokens(1);
  ASSERT_TRUE(Generate(request).status.ok());
  const std::vector<int32_t> ids = *app_->front_door().model().tokenizer()->EncodePrompt("Once upon a time");
  const v1::SubmitSequence submit = attention_->submitted()[0];
  EXPECT_THAT(std::vector<int32_t>(submit.prompt_ids().begin(), submit.prompt_ids().end()), testing::ElementsAreArray(ids));
  v1::ChatMessage& message = *request.mutable_chat()->add_messages();
  message.set_role("user");
  message.set_content("Hello");
  const Answer chat = Generate(request);
  ASSERT_TRUE(chat.status.ok()) << chat.status;
  EXPECT_GT(attention_->submitted()[1].prompt_ids_size(), 1);
}

TEST_F(GenerateTest, ALongTextGoesOverTheWorker) {
  attention_->StartStepping();
  v1::GenerateRequest request;
  for (int i = 0; i < 1500; ++i) *request.mutable_text() += " a time";  // 10,500 bytes
  request.mutable_stopping()->set_max_tokens(1);
  const Answer answer = Generate(request);
  EXPECT_TRUE(answer.status.ok() || answer.status.code() == absl::StatusCode::kInvalidArgument) << answer.status;
}

TEST_F(GenerateTest, ChoicesComeWithTheirIndexesAndLogprobs) {
  attention_->StartStepping();
  v1::GenerateRequest request = OfIds({1}, 4);
  request.set_n(128);
  request.set_logprobs(2);
  const Answer answer = Generate(request);
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(answer.ids.size(), 128u);
  for (const auto& [index, ids] : answer.ids) EXPECT_EQ(ids.size(), 4u) << index;
  EXPECT_EQ(answer.last.usage().completion_tokens(), 512);
  EXPECT_EQ(attention_->submitted().size(), 128u);
  EXPECT_EQ(answer.last.choices(0).logprobs(0).top_size(), 2);
}

TEST_F(GenerateTest, AStopStringEndsTheChoiceAndItsSequence) {
  const std::string whole = *app_->front_door().Detokenize({100, 101, 102, 103, 104, 105, 106, 107});
  const std::string stop = whole.substr(whole.size() / 2, 3);
  attention_->StartStepping(200);
  v1::GenerateRequest request = OfIds({1}, 2000);
  request.mutable_stopping()->add_stop(stop);
  const Answer answer = Generate(request);
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(answer.text.at(0), whole.substr(0, whole.find(stop)));
  EXPECT_EQ(answer.finish.at(0), v1::FINISH_REASON_STOP);
  EXPECT_EQ(answer.last.timing().steps(), answer.last.usage().completion_tokens()) << "the times up to the token that ended it";
  EXPECT_TRUE(WaitIdle());
  EXPECT_EQ(attention_->cancelled(), 1u);
}

TEST_F(GenerateTest, CancelReachesTheNodeAtOnce) {
  grpc::ClientContext context;
  const auto reader = stub_->Generate(&context, OfIds({1}, 100));
  ASSERT_TRUE(WaitFor([&] { return attention_->live() == 1; }));
  context.TryCancel();
  EXPECT_TRUE(WaitIdle());
  EXPECT_EQ(attention_->cancelled(), 1u);
  EXPECT_EQ(Finish(*reader).status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(app_->front_door().totals().cancelled, 1);
}

// Cancels at random phases: before, during and after the tokens; nothing is left running anywhere.
TEST_F(GenerateTest, F53_AThousandCancelsLeaveNothing) {
  attention_->StartStepping(100);
  std::vector<std::thread> clients;
  for (uint32_t c = 0; c < 8; ++c) {
    clients.emplace_back([this, c] {
      std::mt19937 random(c);
      for (int i = 0; i < 125; ++i) {
        grpc::ClientContext context;
        v1::GenerateRequest request = OfIds({1, 2}, 1 + random() % 60);
        request.set_n(1 + static_cast<int32_t>(random() % 4));
        const auto reader = stub_->Generate(&context, request);
        v1::GenerateResponse response;
        for (uint32_t reads = random() % 12; reads > 0 && reader->Read(&response); --reads) {
        }
        context.TryCancel();
        while (reader->Read(&response)) {
        }
        (void)reader->Finish();
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_TRUE(WaitIdle());
  EXPECT_EQ(app_->front_door().totals().failed, 0);
  EXPECT_TRUE(Generate(OfIds({1}, 3)).status.ok());
}

// The clients read nothing while their answers grow far beyond every buffer: those beyond the bound are ended.
TEST_F(GenerateTest, F54_TwoHundredSlowReadersAreBounded) {
  struct Client {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::GenerateResponse>> reader;
  };
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);  // a window that does not grow
  const auto stub = v1::InferenceService::NewStub(
      grpc::CreateCustomChannel(app_->address(), grpc::InsecureChannelCredentials(), arguments));
  std::vector<Client> clients(200);
  for (Client& client : clients) {
    v1::GenerateRequest request = OfIds({1}, 2000);
    request.set_logprobs(20);
    client.reader = stub->Generate(&client.context, request);
  }
  ASSERT_TRUE(WaitFor([&] { return attention_->live() == 200; }));
  while (attention_->Step(50) > 0) {
  }
  ASSERT_TRUE(WaitFor([&] { return attention_->live() == 0; }));
  int slow = 0;
  int whole = 0;
  for (Client& client : clients) {
    const Answer answer = Finish(*client.reader);
    slow += answer.reason() == "SLOW_CLIENT" ? 1 : 0;
    whole += answer.status.ok() && answer.ids.at(0).size() == 2000 ? 1 : 0;
  }
  EXPECT_EQ(slow + whole, 200);
  EXPECT_GT(slow, 150);  // 2,000 tokens with 20 logprobs are 400 KB a client
  EXPECT_TRUE(WaitIdle());
}

TEST_F(GenerateTest, ASlowReaderDoesNotHoldUpOthers) {
  grpc::ClientContext context;
  v1::GenerateRequest slow = OfIds({1}, 2000);
  slow.set_logprobs(20);
  const auto reader = stub_->Generate(&context, slow);
  ASSERT_TRUE(WaitFor([&] { return attention_->live() == 1; }));
  while (attention_->Step(100) > 0) {
  }
  attention_->StartStepping();
  EXPECT_TRUE(Generate(OfIds({1}, 200)).status.ok());
  context.TryCancel();
}

TEST_F(GenerateTest, TokenizeAndDetokenizeAreInverse) {
  grpc::ClientContext context;
  v1::TokenizeRequest request;
  request.set_text("The fox said: \"no\".\n");
  v1::TokenizeResponse ids;
  ASSERT_TRUE(stub_->Tokenize(&context, request, &ids).ok());
  grpc::ClientContext second;
  v1::DetokenizeRequest back;
  *back.mutable_ids() = ids.ids();
  v1::DetokenizeResponse text;
  ASSERT_TRUE(stub_->Detokenize(&second, back, &text).ok());
  EXPECT_EQ(text.text(), request.text());
}

TEST_F(GenerateTest, ReflectionListsTheServices) {
  const RawAnswer answer = CallWithBytes(channel_, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", std::string("\x3A\x00", 2));
  EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
  for (const char* service : {"atoll.v1.InferenceService", "atoll.v1.ClusterService", "grpc.health.v1.Health"}) {
    EXPECT_THAT(answer.message, testing::HasSubstr(service));
  }
}

TEST_F(GenerateTest, GetModelDescribesTheModel) {
  grpc::ClientContext context;
  v1::GetModelResponse model;
  ASSERT_TRUE(stub_->GetModel(&context, {}, &model).ok());
  EXPECT_EQ(model.name(), "tales");
  EXPECT_EQ(model.context_length(), 2048);
  EXPECT_EQ(model.vocabulary_size(), 4096);
  EXPECT_TRUE(model.has_tokenizer());
  EXPECT_EQ(model.layers(), 6);
  EXPECT_EQ(model.experts(), 32);
  EXPECT_THAT(model.eos_token_ids(), testing::ElementsAre(1));
}

}  // namespace
}  // namespace atoll::router
