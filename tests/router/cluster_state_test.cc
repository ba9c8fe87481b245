// The life of a cluster as a table of events and orders, without a network.

#include "router/cluster/cluster_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/error_info.h"

namespace atoll::router {
namespace {

constexpr uint64_t kFingerprint = 77;
constexpr int64_t kMs = 1'000'000;

model::ModelConfig Config() {
  model::ModelConfig config;
  config.num_hidden_layers = 3;
  config.first_k_dense_replace = 1;
  config.gate.n_routed_experts = 8;
  return config;
}

class ClusterStateTest : public testing::Test {
 protected:
  explicit ClusterStateTest(int64_t min_expert_nodes = 2, bool mixed_numerics = false, int64_t min_replicas = 1, float epsilon = 0, TokenOptions tokens = {})
      : state_({.registry = {.model_fingerprint = kFingerprint, .peer_silence_ms = 500, .tick_ms = 25, .mixed_numerics = mixed_numerics},
                .tokens = tokens,
                .placement = {.balance = Copies(min_replicas), .routing_bias = {.epsilon = epsilon}, .min_expert_nodes = min_expert_nodes, .cold_start = {}}},
               {.config = &config_, .with_mtp = false, .expert_bytes = 1000}) {}

  static BalanceOptions Copies(int64_t min_replicas) {
    BalanceOptions options;
    options.min_replicas = min_replicas;
    return options;
  }

  // Two nodes hold all 16 experts, with no room for a second copy.
  static NodeHello Hello(NodeRole role, const std::string& id, uint64_t incarnation = 1) {
    NodeHello hello;
    hello.role = role;
    hello.node_id = id;
    hello.incarnation = incarnation;
    hello.control_address = "127.0.0.1:1";
    hello.backend = "cpu";
    hello.memory_bytes = 8000;
    hello.model_fingerprint = kFingerprint;
    hello.numerics_fingerprint = 5;
    hello.activation_dtype = "bfloat16";
    hello.capacity = {.max_num_seqs = 8, .max_num_batched_tokens = 64, .max_model_len = 100, .pages = 10, .max_queued = 4};
    return hello;
  }

  StreamId Join(const NodeHello& hello) {
    orders_ = {};
    const auto stream = state_.OnHello(hello, now_ns_, orders_);
    EXPECT_TRUE(stream.ok()) << stream.status();
    Plan();
    incarnations_[stream.value_or(0)] = hello.incarnation;
    return stream.value_or(0);
  }

  absl::Status Heartbeat(StreamId stream, uint64_t epoch_ready, std::map<std::string, std::string> lost_peers = {}) {
    orders_ = {};
    NodeHeartbeat heartbeat;
    heartbeat.incarnation = incarnations_[stream];
    heartbeat.epoch_ready = epoch_ready;
    heartbeat.lost_peers = std::move(lost_peers);
    const absl::Status status = state_.OnHeartbeat(stream, heartbeat, now_ns_, orders_);
    Plan();
    return status;
  }

  // What the planner's thread does, at once.
  void Plan() {
    while (!orders_.plans.empty()) {
      PlanJob job = std::move(orders_.plans.back());
      orders_.plans.clear();
      state_.OnPlan(RunPlanJob(std::move(job), {}), now_ns_, orders_);
    }
  }

  void Lose(StreamId stream) {
    orders_ = {};
    state_.OnStreamEnd(stream, now_ns_, orders_);
    Plan();
  }

  void Tick(int64_t ms) {
    orders_ = {};
    now_ns_ += ms * kMs;
    state_.OnTick(now_ns_, orders_);
    Plan();
  }

  void Answer(const ProbeOrder& probe, const absl::Status& status = absl::OkStatus()) {
    orders_ = {};
    state_.OnProbe(probe, status, now_ns_, orders_);
  }

  // Two expert nodes, one attention node, ready.
  void BringUp() {
    e1_ = Join(Hello(NodeRole::kExpert, "e1"));
    e2_ = Join(Hello(NodeRole::kExpert, "e2"));
    ASSERT_EQ(orders_.assignments.size(), 2u);
    const std::vector<Assignment> assignments = orders_.assignments;
    a1_ = Join(Hello(NodeRole::kAttention, "a1"));
    ASSERT_TRUE(Heartbeat(e1_, assignments[0].epoch).ok());
    ASSERT_TRUE(Heartbeat(e2_, assignments[1].epoch).ok());
    ASSERT_EQ(orders_.views.size(), 1u);
    ASSERT_TRUE(Heartbeat(a1_, orders_.views[0].view->epoch).ok());
    ASSERT_EQ(orders_.probes.size(), 1u);
    Answer(ProbeOrder(orders_.probes[0]));
    ASSERT_TRUE(state_.ready()) << state_.NotReadyReason();
  }

  const model::ModelConfig config_ = Config();
  ClusterState state_;
  Orders orders_;
  std::map<StreamId, uint64_t> incarnations_;
  int64_t now_ns_ = 0;
  StreamId e1_ = 0;
  StreamId e2_ = 0;
  StreamId a1_ = 0;
};

TEST_F(ClusterStateTest, SaysWhyItIsNotReadyAtEachStage) {
  EXPECT_EQ(state_.NotReadyReason(), "no expert node has joined");
  const StreamId e1 = Join(Hello(NodeRole::kExpert, "e1"));
  EXPECT_EQ(state_.NotReadyReason(), "1 of 2 expert nodes have joined");
  const StreamId e2 = Join(Hello(NodeRole::kExpert, "e2"));
  const std::vector<Assignment> assignments = orders_.assignments;
  ASSERT_EQ(assignments.size(), 2u);
  EXPECT_THAT(state_.NotReadyReason(), testing::StartsWith("experts are loading: 0 of 2 expert nodes have theirs"));
  ASSERT_TRUE(Heartbeat(e1, assignments[0].epoch).ok());
  EXPECT_THAT(state_.NotReadyReason(), testing::StartsWith("experts are loading: 1 of 2 expert nodes have theirs"));
  ASSERT_TRUE(Heartbeat(e2, assignments[1].epoch).ok());
  EXPECT_EQ(state_.NotReadyReason(), "no attention node has joined");
  const StreamId a1 = Join(Hello(NodeRole::kAttention, "a1"));
  ASSERT_EQ(orders_.views.size(), 1u);
  ASSERT_EQ(orders_.connects.size(), 1u);
  const uint64_t epoch = orders_.views[0].view->epoch;
  EXPECT_EQ(state_.NotReadyReason(), "attention node a1 is opening its links to the expert nodes");
  ASSERT_TRUE(Heartbeat(a1, epoch).ok());
  EXPECT_EQ(state_.NotReadyReason(), "attention node a1 is being probed with one token");
  ASSERT_EQ(orders_.probes.size(), 1u);
  const ProbeOrder probe = orders_.probes[0];
  Answer(probe, absl::InternalError("layer 1 is not finite"));
  EXPECT_EQ(state_.NotReadyReason(), "attention node a1 failed its probe: layer 1 is not finite");
  EXPECT_TRUE(orders_.probes.empty());
  Tick(300);
  ASSERT_EQ(orders_.probes.size(), 1u);
  Answer(ProbeOrder(orders_.probes[0]));
  EXPECT_TRUE(state_.ready());
  EXPECT_EQ(state_.NotReadyReason(), "");
}

TEST_F(ClusterStateTest, AssignsEveryExpertOnce) {
  Join(Hello(NodeRole::kExpert, "e1"));
  Join(Hello(NodeRole::kExpert, "e2"));
  ASSERT_EQ(orders_.assignments.size(), 2u);
  std::vector<model::ExpertId> all = orders_.assignments[0].experts;
  all.insert(all.end(), orders_.assignments[1].experts.begin(), orders_.assignments[1].experts.end());
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, model::AllExperts(config_, false));
}

TEST_F(ClusterStateTest, LostExpertNodeIsToldAtOnceAndComesBackWithItsExperts) {
  BringUp();
  const auto before = state_.epoch();
  Lose(e2_);
  ASSERT_EQ(orders_.views.size(), 1u);
  EXPECT_GT(orders_.views[0].view->epoch, before);
  EXPECT_TRUE(orders_.views[0].view->expert_nodes[0].alive);
  EXPECT_FALSE(orders_.views[0].view->expert_nodes[1].alive);
  EXPECT_FALSE(state_.ready());
  EXPECT_EQ(state_.NotReadyReason(), "8 experts have no live host: expert node e2 is lost");
  const uint64_t lost_epoch = orders_.views[0].view->epoch;
  ASSERT_TRUE(Heartbeat(a1_, lost_epoch).ok());
  EXPECT_TRUE(orders_.probes.empty());  // not before every expert is live

  e2_ = Join(Hello(NodeRole::kExpert, "e2", 2));
  ASSERT_EQ(orders_.assignments.size(), 1u);
  EXPECT_EQ(orders_.assignments[0].experts.size(), 8u);
  EXPECT_EQ(state_.NotReadyReason(), "8 experts have no live host: expert node e2 is loading");
  ASSERT_TRUE(Heartbeat(e2_, orders_.assignments[0].epoch).ok());
  ASSERT_EQ(orders_.views.size(), 1u);
  EXPECT_TRUE(orders_.views[0].view->expert_nodes[1].alive);
  EXPECT_EQ(orders_.views[0].view->expert_nodes[1].incarnation, 2u);
  ASSERT_TRUE(Heartbeat(a1_, orders_.views[0].view->epoch).ok());
  ASSERT_EQ(orders_.probes.size(), 1u);
  const ProbeOrder probe = orders_.probes[0];
  Answer({"a1", 1, lost_epoch});  // an answer of the former view counts for nothing
  EXPECT_FALSE(state_.ready());
  Answer(probe);
  EXPECT_TRUE(state_.ready());
}

TEST_F(ClusterStateTest, SilenceLosesANodeOnlyWhileOurTicksAreOnTime) {
  BringUp();
  Tick(25);
  Tick(10'000);  // we were stopped ourselves
  EXPECT_TRUE(state_.ready());
  for (int i = 0; i < 19; ++i) Tick(25);
  EXPECT_TRUE(state_.ready());
  for (const StreamId stream : {e1_, a1_}) {
    for (const NodeReport& report : state_.Report()) {
      if (report.node.stream != stream) continue;
      ASSERT_TRUE(Heartbeat(stream, report.node.heartbeat.epoch_ready).ok());
    }
  }
  for (int i = 0; i < 3; ++i) Tick(25);
  EXPECT_FALSE(state_.ready());
  EXPECT_EQ(state_.NotReadyReason(), "8 experts have no live host: expert node e2 is lost");
  EXPECT_FALSE(Heartbeat(e2_, 1).ok());  // the stream of a lost node must end
}

// An attention node without a token for 100 ms is asked for one; for 250 ms, and it counts as stalled.
class TokenWatchTest : public ClusterStateTest {
 protected:
  TokenWatchTest() : ClusterStateTest(2, false, 1, 0, {.probe_after_ms = 100, .stalled_after_ms = 250}) {}

  // Everybody's heartbeats come meanwhile.
  std::vector<ProbeOrder> Pass(int64_t ms, uint64_t layers_run = 0) {
    std::vector<ProbeOrder> probes;
    for (int64_t passed = 0; passed < ms; passed += 25) {
      for (const StreamId stream : {e1_, e2_}) EXPECT_TRUE(Heartbeat(stream, state_.epoch()).ok());
      NodeHeartbeat heartbeat;
      heartbeat.incarnation = 1;
      heartbeat.epoch_ready = state_.epoch();
      heartbeat.layers_run = layers_run;
      EXPECT_TRUE(state_.OnHeartbeat(a1_, heartbeat, now_ns_, orders_).ok());
      Tick(25);
      probes.insert(probes.end(), orders_.probes.begin(), orders_.probes.end());
    }
    return probes;
  }
  void Token() {
    orders_ = {};
    state_.OnToken("a1", orders_);
  }
};

TEST_F(TokenWatchTest, ANodeIsAskedAgainOnlyWhileNoTokenComes) {
  BringUp();
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(Pass(75).empty());
    Token();
  }
  const std::vector<ProbeOrder> probes = Pass(125);
  ASSERT_EQ(probes.size(), 1u);
  EXPECT_TRUE(probes[0].again);
  Answer(probes[0]);
  EXPECT_TRUE(Pass(75).empty());
  EXPECT_EQ(Pass(75).size(), 1u) << "and again";
  EXPECT_TRUE(state_.ready());
}

TEST_F(TokenWatchTest, WithoutATokenItIsNotReadyUntilOneComes) {
  BringUp();
  const std::vector<ProbeOrder> probes = Pass(275);
  ASSERT_EQ(probes.size(), 1u) << "one at a time";
  EXPECT_FALSE(state_.ready());
  EXPECT_THAT(state_.NotReadyReason(), testing::StartsWith("attention node a1 has made no token for 2"));
  Pass(1000);
  EXPECT_FALSE(state_.ready());
  Token();
  EXPECT_TRUE(state_.ready());
  Answer(probes[0]);
  EXPECT_TRUE(state_.ready());
}

TEST_F(TokenWatchTest, AProbeThatFailsIsNoTokenAndTheReasonIsTold) {
  BringUp();
  const std::vector<ProbeOrder> probes = Pass(125);
  ASSERT_EQ(probes.size(), 1u);
  Answer(probes[0], absl::UnavailableError("no usable node holds expert 3"));
  EXPECT_TRUE(state_.ready()) << "a failure alone may pass";
  Pass(150, /*layers_run=*/3);
  EXPECT_FALSE(state_.ready()) << "steps that only fail get on, too";
  EXPECT_THAT(state_.NotReadyReason(), testing::EndsWith(": no usable node holds expert 3"));
  const std::vector<ProbeOrder> next = Pass(150);
  ASSERT_EQ(next.size(), 1u);
  Answer(next[0]);
  EXPECT_TRUE(state_.ready());
}

TEST_F(TokenWatchTest, ALongPromptIsNoStall) {
  BringUp();
  EXPECT_TRUE(Pass(2000, /*layers_run=*/1).empty());
  EXPECT_TRUE(state_.ready());
}

TEST_F(TokenWatchTest, ARouterThatWasStoppedItselfAccusesNobody) {
  BringUp();
  Tick(25);
  Tick(60'000);
  EXPECT_TRUE(state_.ready());
}

TEST_F(ClusterStateTest, LostAttentionNodeIsDisconnectedAndOthersGoOn) {
  BringUp();
  const StreamId a2 = Join(Hello(NodeRole::kAttention, "a2"));
  ASSERT_EQ(orders_.views.size(), 2u);  // each is to know how many they are
  EXPECT_EQ(orders_.views[0].view->attention_nodes, 2);
  EXPECT_TRUE(state_.ready());
  ASSERT_TRUE(Heartbeat(a2, orders_.views[0].view->epoch).ok());
  ASSERT_EQ(orders_.probes.size(), 1u);
  Answer(ProbeOrder(orders_.probes[0]));
  EXPECT_EQ(state_.Usable().size(), 2u);
  orders_ = {};
  state_.OnStreamEnd(a1_, now_ns_, orders_);
  EXPECT_THAT(orders_.disconnects, testing::ElementsAre("a1"));
  ASSERT_EQ(state_.Usable().size(), 1u);
  EXPECT_EQ(state_.Usable()[0]->hello.node_id, "a2");
}

TEST_F(ClusterStateTest, BrokenSequenceStreamIsOpenedAgainAndProbed) {
  BringUp();
  orders_ = {};
  state_.OnAttentionStreamEnd("a1", 1, now_ns_, orders_);
  EXPECT_THAT(orders_.disconnects, testing::ElementsAre("a1"));
  EXPECT_FALSE(state_.ready());
  Tick(25);
  EXPECT_TRUE(orders_.connects.empty());
  now_ns_ += 200 * kMs;
  ASSERT_TRUE(Heartbeat(a1_, state_.epoch()).ok());
  EXPECT_EQ(orders_.connects.size(), 1u);
  EXPECT_EQ(orders_.probes.size(), 1u);
}

TEST_F(ClusterStateTest, AnAttentionNodeThatCannotReachAnExpertNodeGetsNoWork) {
  BringUp();
  ASSERT_TRUE(Heartbeat(a1_, state_.epoch(), {{"e1", "connection reset"}}).ok());
  EXPECT_FALSE(state_.ready());
  EXPECT_EQ(state_.NotReadyReason(), "attention node a1 cannot reach expert node e1: connection reset");
  now_ns_ += 1000 * kMs;
  ASSERT_TRUE(Heartbeat(a1_, state_.epoch()).ok());
  EXPECT_FALSE(state_.ready());
  ASSERT_EQ(orders_.probes.size(), 1u);
  Answer(ProbeOrder(orders_.probes[0]));
  EXPECT_TRUE(state_.ready());
}

TEST_F(ClusterStateTest, DrainingNodesGetNoWork) {
  BringUp();
  orders_ = {};
  state_.OnLeaving(a1_, "SIGTERM", now_ns_, orders_);
  EXPECT_FALSE(state_.ready());
  EXPECT_EQ(state_.NotReadyReason(), "attention node a1 is draining");
}

TEST_F(ClusterStateTest, EpochsFollowThoseOfARouterBefore) {
  NodeHello hello = Hello(NodeRole::kExpert, "e1");
  hello.loaded_epoch = 40;
  Join(hello);
  Join(Hello(NodeRole::kExpert, "e2"));
  ASSERT_EQ(orders_.assignments.size(), 2u);
  EXPECT_GT(orders_.assignments[0].epoch, 40u);
}

TEST_F(ClusterStateTest, AViewOfARouterBeforeIsOvertaken) {
  BringUp();
  const StreamId a2 = Join(Hello(NodeRole::kAttention, "a2"));
  ASSERT_TRUE(Heartbeat(a2, 1000).ok());
  ASSERT_EQ(orders_.views.size(), 2u);
  EXPECT_GT(orders_.views[0].view->epoch, 1000u);
}

TEST_F(ClusterStateTest, ANodeThatJoinsAgainEndsItsFormerStream) {
  const StreamId first = Join(Hello(NodeRole::kExpert, "e1", 3));
  Join(Hello(NodeRole::kExpert, "e1", 4));
  ASSERT_EQ(orders_.ends.size(), 1u);
  EXPECT_EQ(orders_.ends[0].stream, first);
  state_.OnStreamEnd(first, now_ns_, orders_);  // says nothing about the new life
  EXPECT_EQ(state_.Report()[0].state, NodeState::kJoining);
}

TEST_F(ClusterStateTest, ComesBackWithTooLittleMemory) {
  BringUp();
  Lose(e2_);
  NodeHello small = Hello(NodeRole::kExpert, "e2", 2);
  small.memory_bytes = 7999;
  Join(small);
  EXPECT_TRUE(orders_.assignments.empty());
  EXPECT_THAT(orders_.log, testing::Contains(testing::HasSubstr("16 experts of 1000 bytes do not fit in the 15 slots of 2 expert nodes")));
  EXPECT_EQ(state_.NotReadyReason(), "8 experts have no live host");
}

class TwoCopies : public ClusterStateTest {
 protected:
  TwoCopies() : ClusterStateTest(2, false, 2) {}
  // Three nodes of 16 slots, two copies of every expert and more.
  void BringUpThree() {
    for (const char* id : {"e1", "e2", "e3"}) {
      NodeHello hello = Hello(NodeRole::kExpert, id);
      hello.memory_bytes = 16000;
      experts_[id] = Join(hello);
    }
    a1_ = Join(Hello(NodeRole::kAttention, "a1"));
    Settle();
    ASSERT_TRUE(state_.ready()) << state_.NotReadyReason();
  }
  // Every node does what it was told, until nothing is left to do.
  void Settle() {
    for (int round = 0; round < 50; ++round) {
      for (const auto& [id, stream] : experts_) {
        const Holding* holding = Held(id);
        if (holding != nullptr && holding->alive) {
          ASSERT_TRUE(Heartbeat(stream, holding->assigned_epoch).ok());
        }
      }
      if (state_.view() != nullptr) {
        ASSERT_TRUE(Heartbeat(a1_, state_.view()->epoch).ok());
      }
      if (!orders_.probes.empty()) Answer(ProbeOrder(orders_.probes[0]));
    }
    EXPECT_EQ(state_.Balancer(now_ns_).activity, "idle");
  }
  const Holding* Held(const std::string& id) { return state_.holdings().Find(id); }
  std::map<std::string, StreamId> experts_;
};

TEST_F(TwoCopies, TheLossOfANodeIsServedThroughAndMended) {
  BringUpThree();
  Lose(experts_["e3"]);
  EXPECT_TRUE(state_.ready()) << "every expert has another replica";
  ASSERT_EQ(orders_.views.size(), 1u);
  EXPECT_EQ(orders_.views[0].view->expert_nodes.size(), 2u) << "the view is without it";
  experts_.erase("e3");
  now_ns_ += 3000 * kMs;
  Settle();
  EXPECT_EQ(Held("e1")->loaded.size(), 16u);
  EXPECT_EQ(Held("e2")->loaded.size(), 16u);
  EXPECT_EQ(Held("e3"), nullptr) << "a plan without it is in place";
  EXPECT_TRUE(state_.ready());
}

TEST_F(TwoCopies, ANodeThatComesBackAtOnceGetsItsReplicasAndNothingMoves) {
  BringUpThree();
  const auto before = Held("e3")->assigned;
  const uint64_t loaded = state_.Balancer(now_ns_).replicas_loaded;
  Lose(experts_["e3"]);
  NodeHello hello = Hello(NodeRole::kExpert, "e3", 2);
  hello.memory_bytes = 16000;
  experts_["e3"] = Join(hello);
  ASSERT_EQ(orders_.assignments.size(), 1u);
  EXPECT_EQ(orders_.assignments[0].experts, before);
  EXPECT_TRUE(state_.ready());
  Settle();
  EXPECT_EQ(Held("e3")->loaded, before);
  EXPECT_EQ(state_.Balancer(now_ns_).replicas_loaded, loaded);
}

TEST_F(TwoCopies, ADrainingNodeMayGoWhenItsReplicasAreElsewhere) {
  BringUpThree();
  orders_ = {};
  state_.OnLeaving(experts_["e2"], "SIGTERM", now_ns_, orders_);
  Plan();
  EXPECT_TRUE(orders_.drains.empty()) << "not yet";
  std::vector<DrainOrder> drains;
  for (int i = 0; i < 20 && drains.empty(); ++i) {
    for (const char* id : {"e1", "e2", "e3"}) {
      ASSERT_TRUE(Heartbeat(experts_[id], Held(id)->assigned_epoch).ok());
      drains.insert(drains.end(), orders_.drains.begin(), orders_.drains.end());
    }
    ASSERT_TRUE(Heartbeat(a1_, state_.view()->epoch).ok());
    drains.insert(drains.end(), orders_.drains.begin(), orders_.drains.end());
    EXPECT_TRUE(state_.ready());
  }
  ASSERT_EQ(drains.size(), 1u);
  EXPECT_EQ(drains[0].stream, experts_["e2"]);
  EXPECT_EQ(Held("e2")->assigned.size(), 0u);
  Lose(experts_["e2"]);
  EXPECT_TRUE(state_.ready());
}

TEST_F(TwoCopies, ADrainingNodeWhoseExpertsFitNowhereMayGoAtOnce) {
  BringUp();
  orders_ = {};
  state_.OnLeaving(e2_, "SIGTERM", now_ns_, orders_);
  Plan();
  ASSERT_EQ(orders_.drains.size(), 1u);
  EXPECT_EQ(orders_.drains[0].stream, e2_);
}

TEST_F(TwoCopies, NothingIsFreedWhileADispatchOfAnOlderEpochIsInFlight) {
  BringUpThree();
  state_.AskForPlan(/*full=*/true, now_ns_, orders_);
  Plan();
  ASSERT_TRUE(state_.Balancer(now_ns_).proposal);
  const uint64_t old_epoch = state_.view()->epoch;
  ASSERT_TRUE(state_.ApplyPlan(now_ns_, orders_).ok());
  const size_t held = Held("e1")->assigned.size() + Held("e2")->assigned.size() + Held("e3")->assigned.size();
  for (int i = 0; i < 20; ++i) {
    for (const auto& [id, stream] : experts_) ASSERT_TRUE(Heartbeat(stream, Held(id)->assigned_epoch).ok());
    NodeHeartbeat heartbeat;
    heartbeat.incarnation = 1;
    heartbeat.epoch_ready = state_.view()->epoch;
    heartbeat.epoch_oldest_in_flight = old_epoch;
    ASSERT_TRUE(state_.OnHeartbeat(a1_, heartbeat, now_ns_, orders_).ok());
    EXPECT_GE(Held("e1")->assigned.size() + Held("e2")->assigned.size() + Held("e3")->assigned.size(), held);
  }
  Settle();
}

TEST_F(TwoCopies, AProposalOfAnotherClusterIsNotApplied) {
  BringUpThree();
  EXPECT_THAT(std::string(state_.ApplyPlan(now_ns_, orders_).message()), testing::HasSubstr("no plan to apply"));
  state_.AskForPlan(/*full=*/true, now_ns_, orders_);
  Plan();
  Lose(experts_["e3"]);
  EXPECT_THAT(std::string(state_.ApplyPlan(now_ns_, orders_).message()), testing::HasSubstr("plan again"));
}

struct Refusal {
  const char* name;
  void (*change)(NodeHello&);
  absl::StatusCode code;
  const char* says;
};

class Refusals : public ClusterStateTest, public testing::WithParamInterface<Refusal> {};

TEST_P(Refusals, AreClear) {
  Join(Hello(NodeRole::kExpert, "e1", 10));
  NodeHello hello = Hello(NodeRole::kExpert, "e2");
  GetParam().change(hello);
  const auto stream = state_.OnHello(hello, now_ns_, orders_);
  EXPECT_EQ(stream.status().code(), GetParam().code) << stream.status();
  EXPECT_THAT(std::string(stream.status().message()), testing::HasSubstr(GetParam().says));
  EXPECT_EQ(state_.Report().size(), 1u);  // nothing else is disturbed
}

constexpr auto kPrecondition = absl::StatusCode::kFailedPrecondition;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
INSTANTIATE_TEST_SUITE_P(
    Join, Refusals,
    testing::Values(Refusal{"F17_model", [](NodeHello& h) { h.model_fingerprint = 78; }, kPrecondition, "has another model"},
                    Refusal{"F17_dtype", [](NodeHello& h) { h.activation_dtype = "float32"; }, kPrecondition, "activation dtype float32, the cluster has bfloat16"},
                    Refusal{"F17_numerics", [](NodeHello& h) { h.numerics_fingerprint = 6; }, kPrecondition, "--mixed-numerics"},
                    Refusal{"stale", [](NodeHello& h) { h.node_id = "e1"; h.incarnation = 9; }, kPrecondition, "incarnation 9, a later one (10) is known"},
                    Refusal{"B19_id", [](NodeHello& h) { h.node_id = "../e"; }, kInvalid, "node_id must be"},
                    Refusal{"B19_long_id", [](NodeHello& h) { h.node_id = std::string(1000, 'x'); }, kInvalid, "node_id must be"},
                    Refusal{"B19_address", [](NodeHello& h) { h.control_address = "nowhere"; }, kInvalid, "HOST:PORT"},
                    Refusal{"B19_epoch", [](NodeHello& h) { h.loaded_epoch = UINT64_MAX; }, kInvalid, "was never given out"},
                    Refusal{"B19_speed_nan", [](NodeHello& h) { h.speed = std::numeric_limits<double>::quiet_NaN(); }, kInvalid, "speed"},
                    Refusal{"B19_speed_0", [](NodeHello& h) { h.speed = 0; }, kInvalid, "speed"},
                    Refusal{"B19_capacity", [](NodeHello& h) { h.role = NodeRole::kAttention; h.capacity.max_num_seqs = -1; }, kInvalid, "capacity"}),
    [](const auto& info) { return info.param.name; });

class MixedNumerics : public ClusterStateTest {
 protected:
  MixedNumerics() : ClusterStateTest(2, true) {}
};

TEST_F(MixedNumerics, AreAdmittedAndShown) {
  const StreamId e1 = Join(Hello(NodeRole::kExpert, "e1"));
  EXPECT_TRUE(state_.exact());
  NodeHello other = Hello(NodeRole::kExpert, "e2");
  other.numerics_fingerprint = 6;
  Join(other);
  EXPECT_FALSE(state_.exact());
  state_.OnStreamEnd(e1, now_ns_, orders_);
  EXPECT_TRUE(state_.exact());
}

class WithRoutingBias : public ClusterStateTest {
 protected:
  WithRoutingBias() : ClusterStateTest(2, false, 1, 0.02F) {}
};

TEST_F(ClusterStateTest, WithoutARoutingBiasViewsCarryNone) {
  BringUp();
  EXPECT_EQ(state_.view()->routing_bias_epsilon, 0);
  EXPECT_EQ(state_.NotExactReason(), "");
}

TEST_F(WithRoutingBias, ViewsCarryItAndTokensAreNotExact) {
  BringUp();
  EXPECT_EQ(state_.view()->routing_bias_epsilon, 0.02F);
  EXPECT_FALSE(state_.exact());
  EXPECT_THAT(state_.NotExactReason(), testing::HasSubstr("--routing-bias-epsilon is 0.02"));
}

TEST_F(WithRoutingBias, TheCapSwitchesItOffInANewView) {
  BringUp();
  const uint64_t before = state_.view()->epoch;
  NodeHeartbeat heartbeat;
  heartbeat.incarnation = 1;
  heartbeat.epoch_ready = before;
  heartbeat.epoch_oldest_in_flight = before;
  heartbeat.routing_bias = {.decisions = 30000, .changed = 3000, .score_mass = 10, .score_mass_kept = 9};
  orders_ = {};
  ASSERT_TRUE(state_.OnHeartbeat(a1_, heartbeat, now_ns_, orders_).ok());
  EXPECT_GT(state_.view()->epoch, before);
  EXPECT_EQ(state_.view()->routing_bias_epsilon, 0);
  EXPECT_TRUE(state_.exact());
  EXPECT_THAT(orders_.log, testing::Contains(testing::HasSubstr("switched off")));
  EXPECT_EQ(state_.routing_bias().totals().changed, 3000u);
}

TEST_F(ClusterStateTest, NumericsMayDifferBetweenRoles) {
  Join(Hello(NodeRole::kExpert, "e1"));
  NodeHello attention = Hello(NodeRole::kAttention, "a1");
  attention.numerics_fingerprint = 6;
  Join(attention);
  EXPECT_TRUE(state_.exact());
}

TEST_F(ClusterStateTest, CountersAddUpAndBadOnesAreRefused) {
  BringUp();
  NodeHeartbeat heartbeat;
  heartbeat.incarnation = 1;
  heartbeat.epoch_ready = state_.epoch();
  heartbeat.expert_counts = {{.layer = 1, .prompt = {8, 0, 0, 0, 0, 0, 0, 0}, .generated = {0, 0, 0, 0, 0, 0, 0, 4}}};
  ASSERT_TRUE(state_.OnHeartbeat(a1_, heartbeat, now_ns_, orders_).ok());
  ASSERT_TRUE(state_.OnHeartbeat(a1_, heartbeat, now_ns_, orders_).ok());
  ASSERT_EQ(state_.counters().Sums().size(), 1u);
  EXPECT_EQ(state_.counters().Sums()[0].prompt[0], 16u);
  ASSERT_EQ(state_.Balance().size(), 1u);
  EXPECT_NEAR(state_.Balance()[0].imbalance, 16.0 / 12.0, 1e-9);
  for (const int32_t layer : {0, 3, -1, 1000000}) {
    heartbeat.expert_counts[0].layer = layer;
    EXPECT_EQ(state_.OnHeartbeat(a1_, heartbeat, now_ns_, orders_).code(), kInvalid) << layer;
  }
  heartbeat.expert_counts[0] = {.layer = 1, .prompt = {1}, .generated = {}};
  EXPECT_EQ(state_.OnHeartbeat(a1_, heartbeat, now_ns_, orders_).code(), kInvalid);
  heartbeat.expert_counts.clear();
  heartbeat.incarnation = 2;
  EXPECT_EQ(state_.OnHeartbeat(a1_, heartbeat, now_ns_, orders_).code(), kInvalid);
}

}  // namespace
}  // namespace atoll::router
