// VllmEngine/Generate with fake nodes: what a call's messages are, and that nothing is left of it whatever its end. The contract's rules
// against real clusters are contract_check's.

#include <gmock/gmock.h>
#include <grpcpp/impl/client_unary_call.h>
#include <grpcpp/support/sync_stream.h>

#include <numeric>
#include <random>
#include <thread>

#include "tests/router/router_fixture.h"
#include "vllm/grpc/engine/vllm_engine.pb.h"

namespace atoll::router {
namespace {

namespace engine = vllm::grpc::engine;
using testing::ElementsAre;
using Kind = grpc::internal::RpcMethod::RpcType;

struct Outputs {
  absl::Status status;
  std::map<uint32_t, std::vector<uint32_t>> chunk_ids;
  std::map<uint32_t, engine::GenerateComplete> complete;
  std::vector<engine::GenerateStreamChunk> chunks;
  bool complete_twice = false;
};

class VllmServiceTest : public RouterFixture {
 protected:
  void SetUp() override { BringUp(); }

  static engine::GenerateRequest OfIds(const std::vector<uint32_t>& ids, uint32_t max_tokens, bool stream = true) {
    engine::GenerateRequest request;
    request.mutable_tokenized()->mutable_input_ids()->Assign(ids.begin(), ids.end());
    if (max_tokens != 0) request.mutable_sampling_params()->set_max_tokens(max_tokens);
    request.set_stream(stream);
    return request;
  }

  std::unique_ptr<grpc::ClientReader<engine::GenerateResponse>> Start(grpc::ClientContext& context, const engine::GenerateRequest& request) {
    static const grpc::internal::RpcMethod method("/vllm.grpc.engine.VllmEngine/Generate", Kind::SERVER_STREAMING);
    return std::unique_ptr<grpc::ClientReader<engine::GenerateResponse>>(
        grpc::internal::ClientReaderFactory<engine::GenerateResponse>::Create(channel_.get(), method, &context, request));
  }

  static Outputs Finish(grpc::ClientReader<engine::GenerateResponse>& reader) {
    Outputs outputs;
    engine::GenerateResponse response;
    while (reader.Read(&response)) {
      if (response.has_chunk()) {
        std::vector<uint32_t>& ids = outputs.chunk_ids[response.chunk().index()];
        ids.insert(ids.end(), response.chunk().token_ids().begin(), response.chunk().token_ids().end());
        outputs.chunks.push_back(response.chunk());
      } else {
        outputs.complete_twice |= !outputs.complete.emplace(response.complete().index(), response.complete()).second;
      }
    }
    outputs.status = net::FromGrpcStatus(reader.Finish());
    return outputs;
  }

  Outputs Generate(const engine::GenerateRequest& request) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return Finish(*Start(context, request));
  }

  void Abort(const std::string& id) {
    static const grpc::internal::RpcMethod method("/vllm.grpc.engine.VllmEngine/Abort", Kind::NORMAL_RPC);
    grpc::ClientContext context;
    engine::AbortRequest request;
    request.add_request_ids(id);
    engine::AbortResponse response;
    const grpc::Status status = grpc::internal::BlockingUnaryCall(channel_.get(), method, &context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }

  absl::Status Refusal(const std::function<void(engine::GenerateRequest&)>& change) {
    engine::GenerateRequest request = OfIds({1, 2, 3}, 4);
    change(request);
    return Generate(request).status;
  }
};

TEST_F(VllmServiceTest, AStreamHasDeltasThenOneComplete) {
  attention_->StartStepping();
  engine::GenerateRequest request = OfIds({1, 2, 3}, 5);
  request.mutable_sampling_params()->set_logprobs(2);
  const Outputs outputs = Generate(request);
  ASSERT_TRUE(outputs.status.ok()) << outputs.status;
  EXPECT_THAT(outputs.chunk_ids.at(0), ElementsAre(100, 101, 102, 103, 104));
  ASSERT_EQ(outputs.complete.size(), 1u);
  EXPECT_FALSE(outputs.complete_twice);
  const engine::GenerateComplete& complete = outputs.complete.at(0);
  EXPECT_EQ(complete.output_ids_size(), 0);
  EXPECT_EQ(complete.finish_reason(), "length");
  EXPECT_EQ(complete.prompt_tokens(), 3u);
  EXPECT_EQ(complete.completion_tokens(), 5u);
  EXPECT_EQ(outputs.chunks.back().completion_tokens(), 5u);
  EXPECT_EQ(outputs.chunks.front().prompt_tokens(), 3u);
  const engine::OutputLogProbs& logprobs = outputs.chunks.front().output_logprobs();
  EXPECT_EQ(logprobs.token_ids(0), 100u);
  EXPECT_FLOAT_EQ(logprobs.token_logprobs(0), -0.5f);
  EXPECT_EQ(logprobs.top_logprobs(0).values_size(), 2);
}

TEST_F(VllmServiceTest, WithoutStreamThereAreCompletesAlone) {
  attention_->StartStepping(50);
  engine::GenerateRequest request = OfIds({1, 2, 3}, 300, false);
  request.mutable_sampling_params()->set_n(3);
  request.mutable_sampling_params()->set_logprobs(0);
  const Outputs outputs = Generate(request);
  ASSERT_TRUE(outputs.status.ok()) << outputs.status;
  EXPECT_TRUE(outputs.chunks.empty());
  ASSERT_EQ(outputs.complete.size(), 3u);
  std::vector<uint32_t> expected(300);
  std::iota(expected.begin(), expected.end(), 100);
  for (const auto& [index, complete] : outputs.complete) {
    EXPECT_THAT(complete.output_ids(), testing::ElementsAreArray(expected)) << index;
    EXPECT_EQ(complete.output_logprobs().token_logprobs_size(), 300);
    EXPECT_EQ(complete.output_logprobs().top_logprobs(0).values_size(), 0);
  }
}

TEST_F(VllmServiceTest, EveryOutputOfAStreamHasOneComplete) {
  attention_->StartStepping();
  engine::GenerateRequest request = OfIds({1}, 7);
  request.mutable_sampling_params()->set_n(16);
  const Outputs outputs = Generate(request);
  ASSERT_TRUE(outputs.status.ok()) << outputs.status;
  EXPECT_EQ(outputs.complete.size(), 16u);
  EXPECT_FALSE(outputs.complete_twice);
  for (const auto& [index, ids] : outputs.chunk_ids) EXPECT_THAT(ids, ElementsAre(100, 101, 102, 103, 104, 105, 106)) << index;
}

TEST_F(VllmServiceTest, WhatStoppedAnOutputIsNamed) {
  attention_->StartStepping();
  const std::string whole = *app_->front_door().Detokenize({100, 101, 102, 103, 104, 105, 106, 107});
  engine::GenerateRequest request = OfIds({1}, 500);
  request.mutable_sampling_params()->add_stop(whole.substr(whole.size() / 2, 3));
  const Outputs outputs = Generate(request);
  ASSERT_TRUE(outputs.status.ok()) << outputs.status;
  EXPECT_EQ(outputs.complete.at(0).finish_reason(), "stop");
  EXPECT_EQ(outputs.complete.at(0).matched_stop_str(), whole.substr(whole.size() / 2, 3));
  EXPECT_TRUE(WaitIdle());
}

TEST_F(VllmServiceTest, ZerosOfUnsetFieldsAreNotTheirValues) {
  attention_->StartStepping();
  ASSERT_TRUE(Generate(OfIds({1, 2, 3}, 0, false)).status.ok());
  ASSERT_EQ(attention_->submitted().size(), 1u);
  const v1::SubmitSequence submit = attention_->submitted()[0];
  EXPECT_FLOAT_EQ(submit.sampling().temperature(), 0.8f);
  EXPECT_FLOAT_EQ(submit.sampling().top_p(), 0.95f);
  EXPECT_EQ(submit.sampling().repetition_penalty(), 1);
  EXPECT_EQ(submit.max_tokens(), 2045u);
}

TEST_F(VllmServiceTest, OnlyTheLastTokensOfATruncatedPromptCount) {
  attention_->StartStepping();
  engine::GenerateRequest request = OfIds({1, 2, 3, 4, 5}, 1);
  request.mutable_sampling_params()->set_truncate_prompt_tokens(2);
  ASSERT_TRUE(Generate(request).status.ok());
  EXPECT_THAT(attention_->submitted()[0].prompt_ids(), ElementsAre(4, 5));
}

TEST_F(VllmServiceTest, TheTraceContextGoesOnToTheNode) {
  attention_->StartStepping();
  grpc::ClientContext context;
  context.AddMetadata("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  ASSERT_TRUE(Finish(*Start(context, OfIds({1}, 1))).status.ok());
  EXPECT_THAT(attention_->submitted()[0].traceparent(), testing::HasSubstr("4bf92f3577b34da6a3ce929d0e0e4736"));
}

TEST_F(VllmServiceTest, ConstraintsOfJsonReachTheNode) {
  attention_->StartStepping();
  engine::GenerateRequest request = OfIds({1}, 1);
  request.mutable_sampling_params()->set_json_schema("{\"enum\": [\"fox\"]}");
  ASSERT_TRUE(Generate(request).status.ok());
  request.mutable_sampling_params()->set_json_object(true);
  ASSERT_TRUE(Generate(request).status.ok());
  request.mutable_sampling_params()->set_json_object(false);
  ASSERT_TRUE(Generate(request).status.ok());
  EXPECT_EQ(attention_->submitted()[0].constraint().json_schema(), "{\"enum\": [\"fox\"]}");
  EXPECT_TRUE(attention_->submitted()[1].constraint().json_object());
  EXPECT_FALSE(attention_->submitted()[2].has_constraint());
}

TEST_F(VllmServiceTest, AbortEndsTheOutputsAndFreesTheSequences) {
  for (const bool stream : {true, false}) {
    engine::GenerateRequest request = OfIds({1}, 1000, stream);
    request.set_request_id("chatcmpl-to-be-aborted");
    request.mutable_sampling_params()->set_n(2);
    grpc::ClientContext context;
    const auto reader = Start(context, request);
    ASSERT_TRUE(WaitFor([&] { return attention_->live() == 2; }));
    attention_->Step(3);
    Abort("chatcmpl-to-be-aborted");
    const Outputs outputs = Finish(*reader);
    EXPECT_TRUE(outputs.status.ok()) << outputs.status;
    ASSERT_EQ(outputs.complete.size(), 2u);
    EXPECT_EQ(outputs.complete.at(1).finish_reason(), "abort");
    EXPECT_EQ(outputs.complete.at(1).prompt_tokens(), 1u);
    EXPECT_TRUE(WaitIdle());
    Abort("chatcmpl-to-be-aborted");
  }
  Abort("never-heard-of");
  EXPECT_EQ(attention_->cancelled(), 4u);
  EXPECT_EQ(app_->front_door().totals().cancelled, 2);
}

TEST_F(VllmServiceTest, WhatIsNotOfferedIsRefusedByName) {
  const std::pair<const char*, std::function<void(engine::GenerateRequest&)>> cases[] = {
      {"mm_inputs", [](auto& r) { r.mutable_mm_inputs(); }},
      {"media_refs", [](auto& r) { r.mutable_media_refs(); }},
      {"kv_transfer_params", [](auto& r) { r.mutable_kv_transfer_params(); }},
      {"kv_transfer_params_json", [](auto& r) { r.set_kv_transfer_params_json("{}"); }},
      {"data_parallel_rank", [](auto& r) { r.set_data_parallel_rank(1); }},
      {"json_schema", [](auto& r) { r.mutable_sampling_params()->set_json_schema("{\"type\": \"ghost\"}"); }},
      {"sampling_params.regex", [](auto& r) { r.mutable_sampling_params()->set_regex("a*"); }},
      {"sampling_params.grammar", [](auto& r) { r.mutable_sampling_params()->set_grammar("root ::= \"a\""); }},
      {"sampling_params.structural_tag", [](auto& r) { r.mutable_sampling_params()->set_structural_tag("{}"); }},
      {"sampling_params.choice", [](auto& r) { r.mutable_sampling_params()->mutable_choice()->add_choices("a"); }},
      {"sampling_params.truncate_prompt_tokens", [](auto& r) { r.mutable_sampling_params()->set_truncate_prompt_tokens(0); }},
      {"n", [](auto& r) { r.mutable_sampling_params()->set_n(4'000'000'000u); }},
      {"token_ids", [](auto& r) { r.mutable_tokenized()->add_input_ids(4'000'000'000u); }},
      {"logprobs", [](auto& r) { r.mutable_sampling_params()->set_prompt_logprobs(-1); }},
      {"logprobs", [](auto& r) { r.mutable_sampling_params()->set_logprobs(21); }},
      {"input", [](auto& r) { r.clear_input(); }},
  };
  for (const auto& [field, change] : cases) {
    const absl::Status status = Refusal(change);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << field << ": " << status;
    const ErrorInfo info = GetErrorInfo(status).value_or(ErrorInfo{});
    EXPECT_EQ(info.metadata.contains("field") ? info.metadata.at("field") : "", field) << status;
  }
  EXPECT_TRUE(attention_->saw_nothing());
  EXPECT_TRUE(Refusal([](auto& r) { r.set_data_parallel_rank(0), r.mutable_sampling_params()->set_json_object(false), r.mutable_sampling_params()->set_max_tokens(0); }).code() ==
              absl::StatusCode::kInvalidArgument);
}

// Answers without stream are kept until they end: too much of that is refused.
TEST_F(VllmServiceTest, AnAnswerThatGrowsTooLargeIsRefused) {
  engine::GenerateRequest request = OfIds({1}, 2000, false);
  request.mutable_sampling_params()->set_logprobs(20);
  request.mutable_sampling_params()->set_n(64);  // 64 × 2,000 × 216 bytes
  attention_->StartStepping(1000);
  const Outputs outputs = Generate(request);
  EXPECT_EQ(outputs.status.code(), absl::StatusCode::kInvalidArgument) << outputs.status;
  EXPECT_THAT(std::string(outputs.status.message()), testing::HasSubstr("stream"));
  EXPECT_TRUE(WaitIdle());
}

// Cancels, aborts and plain ends at random phases; nothing is left running anywhere.
TEST_F(VllmServiceTest, HundredsOfEndsLeaveNothing) {
  attention_->StartStepping(100);
  std::vector<std::thread> clients;
  for (uint32_t c = 0; c < 8; ++c) {
    clients.emplace_back([this, c] {
      std::mt19937 random(c);
      for (int i = 0; i < 60; ++i) {
        engine::GenerateRequest request = OfIds({1, 2}, 1 + random() % 60, random() % 3 > 0);
        request.set_request_id("c" + std::to_string(c) + "-" + std::to_string(i));
        request.mutable_sampling_params()->set_n(1 + random() % 4);
        grpc::ClientContext context;
        const auto reader = Start(context, request);
        engine::GenerateResponse response;
        for (uint32_t reads = random() % 12; reads > 0 && reader->Read(&response); --reads) {
        }
        const uint32_t end = random() % 3;
        if (end == 0) context.TryCancel();
        if (end == 1) Abort(request.request_id());
        (void)Finish(*reader);
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_TRUE(WaitIdle());
  EXPECT_EQ(app_->front_door().totals().failed, 0);
  EXPECT_TRUE(Generate(OfIds({1}, 3)).status.ok());
}

}  // namespace
}  // namespace atoll::router
