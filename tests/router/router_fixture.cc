#include "tests/router/router_fixture.h"

#include "base/log.h"

namespace atoll::router {

void RouterFixture::StartRouter(const RouterConfig& config) {
  SetLogLevel(LogLevel::kWarning);
  net::PrepareGrpc();
  auto app = App::Start(config);
  ASSERT_TRUE(app.ok()) << app.status();
  app_ = *std::move(app);
  channel_ = net::MakeChannel(app_->address());
  stub_ = v1::InferenceService::NewStub(channel_);
  cluster_stub_ = v1::ClusterService::NewStub(channel_);
}

void RouterFixture::BringUp(const RouterConfig& config, FakeAttentionNode::Script script) {
  StartRouter(config);
  ASSERT_NE(app_, nullptr);
  attention_ = std::make_unique<FakeAttentionNode>(std::move(script));
  e1_ = JoinExpert("e1");
  e2_ = JoinExpert("e2");
  a1_ = JoinAttention("a1", *attention_);
  ASSERT_TRUE(WaitReady()) << Status().not_ready_reason() << "; ends: " << e1_->end_status() << ", " << e2_->end_status() << ", "
                           << a1_->end_status();
}

std::unique_ptr<FakeMember> RouterFixture::JoinExpert(const std::string& id, uint64_t incarnation) {
  v1::Hello hello = ExpertHello(id, Fingerprint(), incarnation);
  hello.set_memory_bytes(memory_experts_ * static_cast<uint64_t>(app_->front_door().model().experts().expert_bytes));
  return std::make_unique<FakeMember>(app_->address(), hello);
}

std::unique_ptr<FakeMember> RouterFixture::JoinAttention(const std::string& id, const FakeAttentionNode& node, uint64_t incarnation) {
  return std::make_unique<FakeMember>(app_->address(), AttentionHello(id, Fingerprint(), node.address(), incarnation));
}

v1::GenerateRequest RouterFixture::OfIds(const std::vector<int32_t>& ids, int64_t max_tokens) {
  v1::GenerateRequest request;
  request.mutable_token_ids()->mutable_ids()->Assign(ids.begin(), ids.end());
  if (max_tokens != 0) request.mutable_stopping()->set_max_tokens(max_tokens);
  return request;
}

Answer RouterFixture::Finish(grpc::ClientReader<v1::GenerateResponse>& reader) {
  Answer answer;
  v1::GenerateResponse response;
  while (reader.Read(&response)) {
    ++answer.messages;
    for (const v1::Choice& choice : response.choices()) {
      answer.text[choice.index()] += choice.text();
      answer.ids[choice.index()].insert(answer.ids[choice.index()].end(), choice.token_ids().begin(), choice.token_ids().end());
      if (choice.finish_reason() != v1::FINISH_REASON_UNSPECIFIED) answer.finish[choice.index()] = choice.finish_reason();
    }
    answer.last = response;
  }
  answer.status = net::FromGrpcStatus(reader.Finish());
  return answer;
}

Answer RouterFixture::Generate(const v1::GenerateRequest& request, std::chrono::milliseconds timeout) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  const auto reader = stub_->Generate(&context, request);
  return Finish(*reader);
}

v1::GetStatusResponse RouterFixture::Status(bool experts) {
  grpc::ClientContext context;
  v1::GetStatusRequest request;
  request.set_experts(experts);
  v1::GetStatusResponse response;
  EXPECT_TRUE(cluster_stub_->GetStatus(&context, request, &response).ok());
  return response;
}

bool RouterFixture::WaitReady(bool ready) {
  return WaitFor([&] { return app_->control().Report(false).ready == ready; });
}

bool RouterFixture::WaitIdle() {
  return WaitFor([&] { return app_->front_door().totals().running == 0 && attention_->live() == 0; });
}

}  // namespace atoll::router
