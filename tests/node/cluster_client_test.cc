#include "node/cluster_client.h"

#include <gmock/gmock.h>

#include <condition_variable>
#include <mutex>

#include "base/check.h"
#include "tests/node/fake_router.h"

namespace atoll::node {
namespace {

using ::testing::HasSubstr;

model::ModelConfig Tales() {
  auto config = model::LoadModelConfig(ATOLL_SOURCE_DIR "/checkpoints/tales");
  ATOLL_CHECK(config.ok(), std::string(config.status().message()));
  return *config;
}

class RecordingMember final : public ClusterMember {
 public:
  NodeState CurrentState() override {
    NodeState state;
    state.loaded_epoch = 4;
    state.loaded = {{2, {1, 5}}};
    state.capacity = AttentionCapacity{.max_num_seqs = 7, .pages = 99};
    return state;
  }
  Heartbeat TakeHeartbeat() override {
    Heartbeat heartbeat;
    heartbeat.epoch_ready = 4;
    heartbeat.running = 3;
    heartbeat.expert_counts = {{2, {1, 2}, {3, 4}}};
    heartbeat.lost_peers = {{"expert-1", "silent"}};
    heartbeat.steps = 6;
    heartbeat.busy_us = 7;
    heartbeat.parts_sent_again = 8;
    heartbeat.routing_bias = {100, 3, 2.5, 2.25};
    return heartbeat;
  }
  void OnAccepted(const Accepted& accepted) override { Record([&] { accepts.push_back(accepted); }); }
  void OnAssignment(Assignment assignment) override { Record([&] { assignments.push_back(std::move(assignment)); }); }
  void OnView(ClusterView view) override { Record([&] { views.push_back(std::move(view)); }); }
  void OnDrain(const std::string& reason) override { Record([&] { drain = reason; }); }
  void OnRefused(const absl::Status& status) override { Record([&] { refused = status; }); }

  template <typename Condition>
  bool Await(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return condition(*this); });
  }

  std::vector<Accepted> accepts;
  std::vector<Assignment> assignments;
  std::vector<ClusterView> views;
  std::string drain;
  absl::Status refused;

 private:
  template <typename Change>
  void Record(Change change) {
    std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
};

ClusterClientOptions Options(const std::string& router) {
  ClusterClientOptions options;
  options.router_address = router;
  options.identity = {.role = Role::kExpert, .node_id = "expert-0", .incarnation = 42, .control_address = "127.0.0.1:1",
                      .backend = "cpu", .speed = 2, .memory_bytes = 1000, .model_fingerprint = 11, .numerics_fingerprint = 12,
                      .activation_dtype = "bfloat16"};
  options.model = Tales();
  options.backoff_ms_max = 100;
  return options;
}

v1::ClusterView WholeView(uint64_t epoch) {
  v1::ClusterView view;
  view.set_epoch(epoch);
  v1::ExpertNode* node = view.add_expert_nodes();
  node->set_node_id("expert-0");
  node->set_incarnation(9);
  node->set_control_address("127.0.0.1:2");
  node->set_alive(true);
  view.add_expert_nodes()->set_node_id("expert-1");
  for (uint32_t layer = 1; layer < 6; ++layer) {
    v1::LayerPlacement* placement = view.add_layers();
    placement->set_layer(layer);
    for (uint32_t expert = 0; expert < 32; ++expert) placement->add_experts()->add_node(expert % 2);
  }
  return view;
}

class ClusterClientTest : public ::testing::Test {
 protected:
  FakeRouter router_;
  RecordingMember member_;
  ClusterClient client_{Options(router_.address()), &member_};
};

TEST_F(ClusterClientTest, SaysHelloThenBeatsAndLeaves) {
  client_.Start();
  ASSERT_TRUE(router_.Await([](FakeRouter& r) { return r.heartbeats.size() >= 3; }));
  EXPECT_TRUE(client_.joined());
  client_.Stop("SIGTERM");
  EXPECT_EQ(router_.leaving, "SIGTERM");
  const v1::Hello& hello = router_.hellos.at(0);
  EXPECT_EQ(hello.role(), v1::NODE_ROLE_EXPERT);
  EXPECT_EQ(hello.node_id(), "expert-0");
  EXPECT_EQ(hello.incarnation(), 42u);
  EXPECT_EQ(hello.numerics_fingerprint(), 12u);
  EXPECT_EQ(hello.loaded_epoch(), 4u);
  EXPECT_THAT(hello.loaded(0).experts(), ::testing::ElementsAre(1, 5));
  EXPECT_EQ(hello.capacity().pages(), 99);
  EXPECT_FALSE(hello.version().empty());
  const v1::Heartbeat& heartbeat = router_.heartbeats.at(0);
  EXPECT_EQ(heartbeat.incarnation(), 42u);
  EXPECT_EQ(heartbeat.epoch_ready(), 4u);
  EXPECT_THAT(heartbeat.expert_counts(0).generated(), ::testing::ElementsAre(3, 4));
  EXPECT_EQ(heartbeat.lost_peers().at("expert-1"), "silent");
  EXPECT_EQ(heartbeat.steps(), 6u);
  EXPECT_EQ(heartbeat.busy_us(), 7u);
  EXPECT_EQ(heartbeat.parts_sent_again(), 8u);
  EXPECT_EQ(heartbeat.routing_bias().changed(), 3u);
  EXPECT_EQ(heartbeat.routing_bias().score_mass_kept(), 2.25);
  EXPECT_EQ(member_.accepts.at(0).peer_silence_ms, 321);
}

TEST_F(ClusterClientTest, HandsOnAssignmentsViewsAndDrain) {
  client_.Start();
  ASSERT_TRUE(router_.Await([](FakeRouter& r) { return !r.heartbeats.empty(); }));
  v1::JoinResponse response;
  response.mutable_assignment()->set_epoch(5);
  v1::LayerExperts* layer = response.mutable_assignment()->add_experts();
  layer->set_layer(3);
  layer->add_experts(8);
  layer->add_experts(9);
  router_.Send(response);
  *response.mutable_view() = WholeView(6);
  response.mutable_view()->set_attention_nodes(3);
  response.mutable_view()->set_routing_bias_epsilon(0.25f);
  response.mutable_view()->mutable_layers(0)->add_expected_share(0.75f);
  response.mutable_view()->mutable_layers(0)->add_expected_share(0.25f);
  response.mutable_view()->mutable_layers(1)->mutable_routing_bias()->Resize(32, -0.125f);
  router_.Send(response);
  response.mutable_drain()->set_reason("rolling update");
  router_.Send(response);
  ASSERT_TRUE(member_.Await([](RecordingMember& m) { return !m.drain.empty(); }));
  EXPECT_EQ(member_.assignments.at(0).epoch, 5u);
  EXPECT_THAT(member_.assignments[0].experts, ::testing::ElementsAre(model::ExpertId{3, 8}, model::ExpertId{3, 9}));
  const ClusterView& view = member_.views.at(0);
  EXPECT_EQ(view.placement.epoch, 6u);
  EXPECT_TRUE(view.expert_nodes.at(0).alive);
  EXPECT_FALSE(view.expert_nodes.at(1).alive);
  EXPECT_EQ(view.placement.ReplicasOf({4, 7}).at(0).node, 1);
  EXPECT_FALSE(view.placement.layer_has_experts[6]) << "the view does not name the MTP layer";
  EXPECT_EQ(view.attention_nodes, 3);
  EXPECT_EQ(view.routing_bias_epsilon, 0.25f);
  EXPECT_THAT(view.expected_share.at(1), ::testing::ElementsAre(0.75f, 0.25f));
  EXPECT_THAT(view.expected_share.at(2), ::testing::IsEmpty());
  EXPECT_EQ(view.routing_bias.at(2).at(31), -0.125f);
  EXPECT_THAT(view.routing_bias.at(1), ::testing::IsEmpty());
}

TEST_F(ClusterClientTest, IgnoresAViewThatMakesNoSense) {
  client_.Start();
  ASSERT_TRUE(router_.Await([](FakeRouter& r) { return !r.heartbeats.empty(); }));
  for (int wrong = 0; wrong < 7; ++wrong) {
    v1::JoinResponse response;
    *response.mutable_view() = WholeView(7);
    v1::LayerPlacement* layer = response.mutable_view()->mutable_layers(2);
    if (wrong == 0) layer->set_layer(99);
    if (wrong == 1) layer->mutable_experts()->RemoveLast();
    if (wrong == 2) layer->mutable_experts(3)->set_node(0, 2);
    if (wrong == 3) layer->mutable_experts(3)->clear_node();
    if (wrong == 4) layer->mutable_routing_bias()->Resize(32, 0.5f);  // beyond the epsilon of 0
    if (wrong == 5) layer->mutable_expected_share()->Resize(3, 0.5f);
    if (wrong == 6) response.mutable_view()->set_routing_bias_epsilon(-1);
    router_.Send(response);
  }
  v1::JoinResponse good;
  *good.mutable_view() = WholeView(8);
  router_.Send(good);
  ASSERT_TRUE(member_.Await([](RecordingMember& m) { return !m.views.empty(); }));
  EXPECT_EQ(member_.views[0].placement.epoch, 8u);
}

TEST_F(ClusterClientTest, JoinsAgainAfterTheStreamBroke) {
  client_.Start();
  ASSERT_TRUE(router_.Await([](FakeRouter& r) { return !r.heartbeats.empty(); }));
  router_.EndStream(absl::UnavailableError("restart"));
  EXPECT_TRUE(router_.Await([](FakeRouter& r) { return r.hellos.size() == 2; }));
}

TEST_F(ClusterClientTest, JoinsARouterThatComesBackOnItsAddress) {
  client_.Start();
  ASSERT_TRUE(router_.Await([](FakeRouter& r) { return !r.heartbeats.empty(); }));
  const std::string address = router_.address();
  router_.Stop();
  router_.Listen(address);
  EXPECT_TRUE(router_.Await([](FakeRouter& r) { return r.hellos.size() == 2; }));
}

TEST_F(ClusterClientTest, ARefusalIsFinal) {
  router_.RefuseWith(absl::FailedPreconditionError("another model"));
  client_.Start();
  ASSERT_TRUE(member_.Await([](RecordingMember& m) { return !m.refused.ok(); }));
  EXPECT_EQ(member_.refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(member_.refused.message()), HasSubstr("another model"));
  client_.Stop("");
  EXPECT_EQ(router_.hellos.size(), 1u);
}

TEST(ClusterClientAloneTest, StopsAtOnceWithoutARouter) {
  RecordingMember member;
  ClusterClient client(Options("127.0.0.1:1"), &member);
  client.Start();
  client.Stop("");
  EXPECT_FALSE(client.joined());
  ClusterClient never_started(Options("127.0.0.1:1"), &member);
}

}  // namespace
}  // namespace atoll::node
