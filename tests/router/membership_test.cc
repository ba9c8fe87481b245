// Joins, losses, rejoins and the router's end, over real gRPC with fake nodes.

#include <gmock/gmock.h>
#include <grpcpp/impl/codegen/client_unary_call.h>
#include <grpcpp/support/byte_buffer.h>

#include <optional>
#include <thread>

#include "base/log.h"
#include "tests/router/router_fixture.h"

namespace atoll::router {
namespace {

using absl::StatusCode;

class Membership : public RouterFixture {};

TEST_F(Membership, NotReadyIsUnavailableWithTheReason) {
  StartRouter();
  Answer answer = Generate(OfIds({1}, 3));
  EXPECT_EQ(answer.status.code(), StatusCode::kUnavailable);
  EXPECT_EQ(answer.reason(), "NOT_READY");
  e1_ = JoinExpert("e1");
  ASSERT_TRUE(WaitFor([&] { return Status().nodes_size() == 1; }));
  EXPECT_EQ(Status().not_ready_reason(), "1 of 2 expert nodes have joined");
}

TEST_F(Membership, EveryExpertHasOneHostInTheView) {
  BringUp();
  const v1::ClusterView view = a1_->view();
  EXPECT_EQ(view.expert_nodes_size(), 2);
  EXPECT_EQ(view.layers_size(), 6);  // five MoE layers and the MTP layer
  for (const v1::LayerPlacement& layer : view.layers()) {
    ASSERT_EQ(layer.experts_size(), 32);
    for (const v1::ExpertReplicas& replicas : layer.experts()) EXPECT_EQ(replicas.node_size(), 1);
  }
  int assigned = 0;
  for (const FakeMember* member : {e1_.get(), e2_.get()}) {
    const std::vector<v1::Assignment> assignments = member->assignments();
    ASSERT_EQ(assignments.size(), 1u);
    for (const v1::LayerExperts& layer : assignments[0].experts()) assigned += layer.experts_size();
  }
  EXPECT_EQ(assigned, 6 * 32);
  const v1::GetStatusResponse status = Status();
  EXPECT_TRUE(status.ready());
  EXPECT_TRUE(status.exact());
  EXPECT_EQ(status.epoch(), view.epoch());
  for (const v1::NodeStatus& node : status.nodes()) EXPECT_EQ(node.state(), "ready") << node.node_id();
}

TEST_F(Membership, ALostAttentionNodeEndsItsRequestsAndNoOthers) {
  BringUp();
  FakeAttentionNode other;
  const auto a2 = JoinAttention("a2", other);
  ASSERT_TRUE(WaitFor([&] { return app_->control().serving()->seats.size() == 2; }));
  grpc::ClientContext first_context;
  const auto first = stub_->Generate(&first_context, OfIds({1}, 3));
  ASSERT_TRUE(WaitFor([&] { return attention_->live() == 1; }));
  grpc::ClientContext second_context;
  const auto second = stub_->Generate(&second_context, OfIds({1}, 3));
  ASSERT_TRUE(WaitFor([&] { return other.live() == 1; }));  // the less loaded node
  attention_->Break();
  a1_->End();
  const Answer lost = Finish(*first);
  EXPECT_EQ(lost.status.code(), StatusCode::kUnavailable) << lost.status;
  EXPECT_EQ(lost.reason(), "ATTENTION_NODE_LOST");
  other.StartStepping();
  EXPECT_TRUE(Finish(*second).status.ok());
  EXPECT_TRUE(Generate(OfIds({1}, 3)).status.ok());
}

TEST_F(Membership, ALostExpertNodeIsPublishedAndItsReturnToo) {
  BringUp();
  const uint64_t epoch = a1_->view().epoch();
  e2_->End();
  ASSERT_TRUE(WaitFor([&] { return a1_->view().epoch() > epoch; }));
  EXPECT_FALSE(a1_->view().expert_nodes(1).alive());
  EXPECT_FALSE(Status().ready());
  EXPECT_EQ(Status().not_ready_reason(), "96 experts have no live host: expert node e2 is lost");
  EXPECT_EQ(Generate(OfIds({1}, 3)).status.code(), StatusCode::kUnavailable);
  e2_ = JoinExpert("e2", 2);
  ASSERT_TRUE(WaitReady());
  EXPECT_TRUE(a1_->view().expert_nodes(1).alive());
  EXPECT_EQ(a1_->view().expert_nodes(1).incarnation(), 2u);
  attention_->StartStepping();
  EXPECT_TRUE(Generate(OfIds({1}, 3)).status.ok());
}

TEST_F(Membership, FailuresThatTheNodeReportsReachTheClient) {
  BringUp();
  grpc::ClientContext context;
  const auto reader = stub_->Generate(&context, OfIds({1}, 3));
  ASSERT_TRUE(WaitFor([&] { return attention_->live() == 1; }));
  attention_->FailAll(StatusCode::kUnavailable, "expert node e1 is lost");
  const Answer answer = Finish(*reader);
  EXPECT_EQ(answer.status.code(), StatusCode::kUnavailable);
  EXPECT_EQ(answer.status.message(), "expert node e1 is lost");
}

TEST_F(Membership, SilentNodesAreLost) {
  RouterConfig config = Config();
  config.peer_silence_ms = 200;
  StartRouter(config);
  e1_ = JoinExpert("e1");
  EXPECT_TRUE(WaitFor([&] { return e1_->ended(); }));
  EXPECT_EQ(e1_->end_status().code(), StatusCode::kUnavailable);
  ASSERT_EQ(Status().nodes_size(), 1);
  EXPECT_EQ(Status().nodes(0).state(), "lost");
}

TEST_F(Membership, F17_OtherModelsAreRefusedClearly) {
  StartRouter();
  v1::Hello hello = ExpertHello("e1", Fingerprint() + 1);
  FakeMember member(app_->address(), hello);
  ASSERT_TRUE(WaitFor([&] { return member.ended(); }));
  EXPECT_EQ(member.end_status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(member.end_status().message()), testing::HasSubstr("has another model"));
  EXPECT_EQ(GetErrorInfo(member.end_status())->reason, "MODEL_MISMATCH");
  EXPECT_EQ(Status().nodes_size(), 0);
}

TEST_F(Membership, AStreamWithoutHelloEnds) {
  StartRouter();
  grpc::ClientContext context;
  const auto stream = cluster_stub_->Join(&context);
  v1::JoinRequest request;
  request.mutable_heartbeat();
  stream->Write(request);
  v1::JoinResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::INVALID_ARGUMENT);
}

TEST_F(Membership, CountersReachTheStatus) {
  BringUp();
  v1::Heartbeat heartbeat;
  heartbeat.set_running(3);
  v1::LayerCounts& counts = *heartbeat.add_expert_counts();
  counts.set_layer(2);
  for (int e = 0; e < 32; ++e) counts.add_generated(e == 0 ? 40 : 0);
  a1_->Send(heartbeat);
  ASSERT_TRUE(WaitFor([&] { return Status(true).expert_counts_size() == 1; }));
  const v1::GetStatusResponse status = Status(true);
  EXPECT_EQ(status.expert_counts(0).layer(), 2u);
  EXPECT_EQ(status.expert_counts(0).generated(0), 40u);
  EXPECT_NEAR(status.balance(0).imbalance(), 2.0, 1e-9);
  EXPECT_EQ(Status(false).expert_counts_size(), 0);
}

TEST_F(Membership, DrainLetsRunningRequestsFinishAndRefusesNewOnes) {
  BringUp();
  grpc::ClientContext context;
  const auto reader = stub_->Generate(&context, OfIds({1}, 3));
  ASSERT_TRUE(WaitFor([&] { return attention_->live() == 1; }));
  std::thread shutdown([&] { app_->Shutdown(); });
  Answer refused;
  EXPECT_TRUE(WaitFor([&] {
    refused = Generate(OfIds({1}, 1), std::chrono::milliseconds(200));
    return refused.reason() == "DRAINING";
  })) << refused.status;
  attention_->StartStepping();
  EXPECT_TRUE(Finish(*reader).status.ok());
  shutdown.join();
}

TEST_F(Membership, DrainCancelsWhatOutlastsIt) {
  RouterConfig config = Config();
  config.shutdown_timeout_ms = 50;
  BringUp(config);
  grpc::ClientContext context;
  const auto reader = stub_->Generate(&context, OfIds({1}, 3));
  ASSERT_TRUE(WaitFor([&] { return attention_->live() == 1; }));
  app_->Shutdown();
  EXPECT_EQ(Finish(*reader).status.code(), StatusCode::kUnavailable);
  EXPECT_TRUE(WaitFor([&] { return attention_->live() == 0; }));
}

// The serving state that grpc.health.v1 gives for a name; nothing for an unknown one.
std::optional<bool> Health(grpc::Channel& channel, const std::string& service) {
  // HealthCheckRequest {string service = 1}, HealthCheckResponse {enum status = 1}: bytes by hand, the proto is not ours.
  const std::string bytes = service.empty() ? "" : std::string("\x0A") + static_cast<char>(service.size()) + service;
  const grpc::Slice slice(bytes);
  const grpc::ByteBuffer request(&slice, 1);
  grpc::ByteBuffer response;
  grpc::ClientContext context;
  grpc::internal::RpcMethod method("/grpc.health.v1.Health/Check", grpc::internal::RpcMethod::NORMAL_RPC);
  const grpc::Status status = grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer, grpc::ByteBuffer, grpc::ByteBuffer>(
      &channel, method, &context, request, &response);
  if (!status.ok()) return std::nullopt;
  grpc::Slice answer;
  EXPECT_TRUE(response.DumpToSingleSlice(&answer).ok());
  return answer.size() == 2 && answer.begin()[1] == 1;
}

TEST_F(Membership, HealthFollowsTheClusterByRole) {
  StartRouter();
  EXPECT_EQ(Health(*channel_, ""), true);
  EXPECT_EQ(Health(*channel_, "router"), true);
  EXPECT_EQ(Health(*channel_, "atoll.v1.InferenceService"), false);
  EXPECT_EQ(Health(*channel_, "nobody"), std::nullopt);
  e1_ = JoinExpert("e1");
  e2_ = JoinExpert("e2");
  EXPECT_TRUE(WaitFor([&] { return Health(*channel_, "expert") == true; }));
  EXPECT_EQ(Health(*channel_, "attention"), false);
  attention_ = std::make_unique<FakeAttentionNode>();
  a1_ = JoinAttention("a1", *attention_);
  EXPECT_TRUE(WaitFor([&] { return Health(*channel_, "atoll.v1.InferenceService") == true; }));
  EXPECT_EQ(Health(*channel_, "attention"), true);
  e1_->End();
  EXPECT_TRUE(WaitFor([&] { return Health(*channel_, "expert") == false; }));
  EXPECT_EQ(Health(*channel_, "atoll.v1.InferenceService"), false);
}

// A router that dies is replaced by one that knows nothing: the nodes' hellos tell it who holds what, and its epochs
// follow those that the nodes remember.
TEST_F(Membership, F10_ANewRouterRebuildsThePlacementFromTheNodes) {
  BringUp();
  const uint64_t epoch = a1_->view().epoch();
  v1::Hello hellos[] = {ExpertHello("e2", Fingerprint()), ExpertHello("e1", Fingerprint())};
  const std::vector<v1::Assignment> assignments[] = {e2_->assignments(), e1_->assignments()};
  for (int i = 0; i < 2; ++i) {
    hellos[i].set_loaded_epoch(assignments[i][0].epoch());
    *hellos[i].mutable_loaded() = assignments[i][0].experts();
  }
  app_->Shutdown();
  StartRouter();
  e2_ = std::make_unique<FakeMember>(app_->address(), hellos[0]);
  e1_ = std::make_unique<FakeMember>(app_->address(), hellos[1]);
  a1_ = JoinAttention("a1", *attention_);
  v1::Heartbeat remembered;
  remembered.set_epoch_ready(epoch);
  a1_->Send(remembered);
  ASSERT_TRUE(WaitReady()) << Status().not_ready_reason();
  EXPECT_GT(a1_->view().epoch(), epoch);
  EXPECT_EQ(e2_->assignments()[0].experts_size(), assignments[0][0].experts_size());
  EXPECT_EQ(e2_->assignments()[0].experts(0).SerializeAsString(), assignments[0][0].experts(0).SerializeAsString());
  EXPECT_EQ(e1_->assignments()[0].experts(0).SerializeAsString(), assignments[1][0].experts(0).SerializeAsString());
}

TEST_F(Membership, ABrokenSequenceStreamIsOpenedAgain) {
  BringUp();
  attention_->Break();
  ASSERT_TRUE(WaitFor([&] { return app_->control().serving()->seats.empty(); }));
  ASSERT_TRUE(WaitReady());
  attention_->StartStepping();
  EXPECT_TRUE(Generate(OfIds({1}, 3)).status.ok());
}

}  // namespace
}  // namespace atoll::router
