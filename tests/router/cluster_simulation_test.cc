// Seeded sequences of joins, losses, drains, plans, late and lost heartbeats over ClusterState and simulated nodes. Whatever
// comes: no expert node is told to hold more than fits; every replica that an attention node may still send to is held
// there; epochs only grow; every expert has a live replica or the router says that some are lost; and when the events end,
// so does every migration.

#include <gmock/gmock.h>

#include <deque>
#include <set>

#include "router/cluster/cluster_state.h"
#include "router/placement/seeded_random.h"

namespace atoll::router {
namespace {

using model::ExpertId;

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kExpertBytes = 10;
constexpr int64_t kExpertsInAll = 3 * 12;

model::ModelConfig Config() {
  model::ModelConfig config;
  config.num_hidden_layers = 4;
  config.first_k_dense_replace = 1;
  config.gate.n_routed_experts = 12;
  return config;
}

struct SimExpertNode {
  StreamId stream = 0;
  uint64_t incarnation = 1;
  size_t slots = 0;
  std::set<ExpertId> held;             // of the assignments that arrived; what one does not name is gone at once
  std::set<ExpertId> loaded;
  std::deque<Assignment> arriving;     // sent, not yet here
  std::optional<Assignment> loading;   // here, not yet loaded
  uint64_t epoch_ready = 0, epoch_sent = 0;
  uint64_t epoch_at_join = 0;
  bool leaving = false, may_go = false;
};

struct SimAttentionNode {
  StreamId stream = 0;
  std::deque<std::shared_ptr<const ClusterView>> arriving;
  std::shared_ptr<const ClusterView> followed;
  std::vector<std::shared_ptr<const ClusterView>> in_flight;  // views under which dispatches are out
  uint64_t epoch_sent = 0;
};

class Simulation {
 public:
  explicit Simulation(uint64_t seed) : random_(seed), state_(Options(), {.config = &config_, .with_mtp = false, .expert_bytes = kExpertBytes}) {}

  void Run(int events) {
    for (int i = 0; i < 3; ++i) JoinExpert(next_expert_++);
    JoinAttention(next_attention_++);
    for (int i = 0; i < events && !testing::Test::HasFailure(); ++i) Event();
    Quiesce();
  }

 private:
  static ClusterOptions Options() {
    ClusterOptions options;
    options.registry = {.model_fingerprint = 7, .peer_silence_ms = 1'000'000'000, .tick_ms = 25, .mixed_numerics = false};
    options.placement.balance.step_interval = 50;
    options.placement.balance.threshold = 1;
    options.placement.balance.window_size = 100;
    options.placement.min_expert_nodes = 2;
    return options;
  }

  void Event() {
    now_ns_ += random_.Below(200) * kMs;
    if (experts_.empty()) return JoinExpert(next_expert_++);
    const int32_t kind = random_.Below(100);
    if (kind < 4) Restart();
    else if (kind < 6) Kill();
    else if (kind < 9 && experts_.size() < 6) JoinExpert(next_expert_++);
    else if (kind < 11) Leave();
    else if (kind < 13 && attention_.size() < 3) JoinAttention(next_attention_++);
    else if (kind < 14 && attention_.size() > 1) KillAttention();
    else if (kind < 18) Operator();
    else if (kind < 40) ArriveAtExpert();
    else if (kind < 60) ArriveAtAttention();
    else if (kind < 66) Plan();
    else if (kind < 82) HeartbeatOfExpert();
    else if (kind < 97) HeartbeatOfAttention();
    else Do([&](Orders& orders) { state_.OnTick(now_ns_, orders); });
  }

  template <typename Act>
  void Do(Act act) {
    Orders orders;
    act(orders);
    CarryOut(orders);
    Check();
  }

  void CarryOut(Orders& orders) {
    for (Assignment& assignment : orders.assignments) {
      for (auto& [id, node] : experts_) {
        if (node.stream != assignment.stream) continue;
        EXPECT_GT(assignment.epoch, node.epoch_sent) << id;
        EXPECT_LE(assignment.experts.size(), node.slots) << id;
        EXPECT_EQ(std::set<ExpertId>(assignment.experts.begin(), assignment.experts.end()).size(), assignment.experts.size()) << "twice on one node";
        node.epoch_sent = assignment.epoch;
        node.arriving.push_back(assignment);
      }
    }
    for (ViewOrder& order : orders.views) {
      if (!state_.AllExpertsLive()) with_lost_.insert(order.view->epoch);
      EXPECT_TRUE(model::ValidatePlacement(*order.view->placement).ok());
      for (auto& [id, node] : attention_) {
        if (node.stream != order.stream) continue;
        EXPECT_GT(order.view->epoch, node.epoch_sent) << id;
        node.epoch_sent = order.view->epoch;
        node.arriving.push_back(order.view);
      }
    }
    for (const DrainOrder& order : orders.drains)
      for (auto& [id, node] : experts_)
        if (node.stream == order.stream) node.may_go = true;
    for (const ProbeOrder& probe : orders.probes) probes_.push_back(probe);
    for (PlanJob& job : orders.plans) job_ = std::move(job);
  }

  void Plan() {
    if (!job_) return;
    const PlanResult result = RunPlanJob(*std::exchange(job_, std::nullopt), {});
    Do([&](Orders& orders) { state_.OnPlan(result, now_ns_, orders); });
  }

  NodeHello Hello(NodeRole role, const std::string& id, uint64_t incarnation) const {
    NodeHello hello;
    hello.role = role;
    hello.node_id = id;
    hello.incarnation = incarnation;
    hello.control_address = "127.0.0.1:1";
    hello.model_fingerprint = 7;
    hello.activation_dtype = "bfloat16";
    hello.capacity = {.max_num_seqs = 8, .max_num_batched_tokens = 64, .max_model_len = 100, .pages = 10, .max_queued = 4};
    return hello;
  }

  void JoinExpert(int number) {
    SimExpertNode node;
    node.slots = static_cast<size_t>(12 + random_.Below(kExpertsInAll - 11));
    Join("e" + std::to_string(number), node);
  }

  void Join(const std::string& id, SimExpertNode node) {
    NodeHello hello = Hello(NodeRole::kExpert, id, node.incarnation);
    hello.memory_bytes = node.slots * kExpertBytes;
    hello.loaded.assign(node.loaded.begin(), node.loaded.end());
    hello.loaded_epoch = node.epoch_ready;
    Orders orders;
    const auto stream = state_.OnHello(hello, now_ns_, orders);
    ASSERT_TRUE(stream.ok()) << stream.status();
    node.stream = *stream;
    node.epoch_at_join = state_.epoch();
    experts_[id] = std::move(node);
    CarryOut(orders);
    Check();
  }

  void JoinAttention(int number) {
    const std::string id = "a" + std::to_string(number);
    Orders orders;
    const auto stream = state_.OnHello(Hello(NodeRole::kAttention, id, 1), now_ns_, orders);
    ASSERT_TRUE(stream.ok()) << stream.status();
    attention_[id].stream = *stream;
    CarryOut(orders);
    Check();
  }

  template <typename Nodes>
  auto Any(Nodes& nodes) { return std::next(nodes.begin(), random_.Below(static_cast<int32_t>(nodes.size()))); }

  void Kill() {
    if (experts_.size() < 2) return;
    const auto node = Any(experts_);
    const StreamId stream = node->second.stream;
    gone_[node->first] = node->second;
    experts_.erase(node);
    Do([&](Orders& orders) { state_.OnStreamEnd(stream, now_ns_, orders); });
  }

  // As a process that crashed and is started again: its memory is empty. Or only the stream broke: it keeps all.
  void Restart() {
    if (random_.Below(2) == 0) Kill();
    if (gone_.empty()) return;
    auto back = gone_.extract(Any(gone_));
    SimExpertNode node = back.mapped();
    node.arriving.clear();
    node.leaving = node.may_go = false;
    if (random_.Below(2) == 0) {
      node.held.clear(), node.loaded.clear(), node.loading.reset();
      node.epoch_ready = node.epoch_sent = 0;
      ++node.incarnation;
    }
    node.loading.reset();
    Join(back.key(), std::move(node));
  }

  void Leave() {
    const auto node = Any(experts_);
    if (experts_.size() < 3 || node->second.leaving) return;
    node->second.leaving = true;
    Do([&](Orders& orders) { state_.OnLeaving(node->second.stream, "SIGTERM", now_ns_, orders); });
  }

  void KillAttention() {
    const auto node = Any(attention_);
    const StreamId stream = node->second.stream;
    attention_.erase(node);
    Do([&](Orders& orders) { state_.OnStreamEnd(stream, now_ns_, orders); });
  }

  void Operator() {
    const int32_t what = random_.Below(4);
    if (what == 0) Do([&](Orders& orders) { state_.AskForPlan(random_.Below(2) == 0, now_ns_, orders); });
    if (what == 1) Do([&](Orders& orders) { (void)state_.ApplyPlan(now_ns_, orders); });
    if (what == 2) Do([&](Orders& orders) { state_.Freeze(random_.Below(3) == 0, now_ns_, orders); });
  }

  void ArriveAtExpert() {
    SimExpertNode& node = Any(experts_)->second;
    if (node.loading && random_.Below(2) == 0) {
      node.loaded = node.held;
      node.epoch_ready = node.loading->epoch;
      node.loading.reset();
    } else if (!node.arriving.empty()) {
      node.loading = std::move(node.arriving.front());
      node.arriving.pop_front();
      node.held = {node.loading->experts.begin(), node.loading->experts.end()};
      std::erase_if(node.loaded, [&](const ExpertId& id) { return !node.held.contains(id); });
    }
    Check();
  }

  void ArriveAtAttention() {
    SimAttentionNode& node = Any(attention_)->second;
    const int32_t what = random_.Below(3);
    if (what == 0 && !node.arriving.empty()) {
      node.followed = std::move(node.arriving.front());
      node.arriving.pop_front();
    }
    if (what == 1 && node.followed != nullptr && node.in_flight.size() < 3) node.in_flight.push_back(node.followed);
    if (what == 2 && !node.in_flight.empty()) node.in_flight.erase(node.in_flight.begin());
    Check();
  }

  void HeartbeatOfExpert() { HeartbeatOf(Any(experts_)->first); }
  void HeartbeatOf(const std::string& id) {
    SimExpertNode& node = experts_.at(id);
    NodeHeartbeat heartbeat;
    heartbeat.incarnation = node.incarnation;
    heartbeat.epoch_ready = node.epoch_ready;
    heartbeat.rows_run = 1000;
    heartbeat.busy_us = static_cast<uint64_t>(5000 + random_.Below(20000));
    Do([&](Orders& orders) { EXPECT_TRUE(state_.OnHeartbeat(node.stream, heartbeat, now_ns_, orders).ok()); });
    if (!node.may_go) return;
    const StreamId stream = node.stream;
    experts_.erase(id);
    Do([&](Orders& orders) { state_.OnStreamEnd(stream, now_ns_, orders); });
  }

  void HeartbeatOfAttention() { HeartbeatOf(Any(attention_)->second); }
  void HeartbeatOf(SimAttentionNode& node) {
    NodeHeartbeat heartbeat;
    heartbeat.incarnation = 1;
    heartbeat.epoch_ready = node.followed == nullptr ? 0 : node.followed->epoch;
    heartbeat.epoch_oldest_in_flight = node.in_flight.empty() ? 0 : node.in_flight.front()->epoch;
    heartbeat.steps = 10;
    for (int32_t layer = 1; layer < 4; ++layer) {
      heartbeat.expert_counts.push_back({.layer = layer, .prompt = {}, .generated = std::vector<uint64_t>(12)});
      for (uint64_t& rows : heartbeat.expert_counts.back().generated) rows = static_cast<uint64_t>(random_.Below(100));
    }
    Do([&](Orders& orders) { EXPECT_TRUE(state_.OnHeartbeat(node.stream, heartbeat, now_ns_, orders).ok()); });
  }

  // A replica on a node that was lost since that view is nobody's fault: what is sent there is refused and sent again. A
  // view that was said to be without some experts names nodes for them that may not have them.
  void CheckHeld(const ClusterView& view) {
    if (with_lost_.contains(view.epoch)) return;
    for (int32_t layer = 1; layer < 4; ++layer) {
      for (int32_t e = 0; e < 12; ++e) {
        for (const model::Replica& replica : view.placement->ReplicasOf({layer, e})) {
          const ExpertPeer& peer = view.expert_nodes[replica.node];
          const auto node = experts_.find(peer.node_id);
          if (!peer.alive || node == experts_.end() || view.epoch <= node->second.epoch_at_join) continue;
          EXPECT_TRUE(node->second.held.contains({layer, e}))
              << "view " << view.epoch << " sends expert " << e << " of layer " << layer << " to " << peer.node_id << ", which freed it";
        }
      }
    }
  }

  void Check() {
    for (const auto& [id, node] : attention_) {
      if (node.followed != nullptr) CheckHeld(*node.followed);
      for (const auto& view : node.in_flight) CheckHeld(*view);
      for (const auto& view : node.arriving) CheckHeld(*view);
    }
    EXPECT_GE(state_.epoch(), newest_epoch_);
    newest_epoch_ = state_.epoch();
    if (state_.view() == nullptr || !state_.AllExpertsLive()) return;
    for (int32_t layer = 1; layer < 4; ++layer) {
      for (int32_t e = 0; e < 12; ++e) {
        const auto& replicas = state_.view()->placement->ReplicasOf({layer, e});
        EXPECT_TRUE(std::any_of(replicas.begin(), replicas.end(), [&](const model::Replica& replica) {
          const auto node = experts_.find(state_.view()->expert_nodes[replica.node].node_id);
          return node != experts_.end() && node->second.loaded.contains({layer, e});
        })) << "expert " << e << " of layer " << layer << " is lost and nobody says so";
      }
    }
  }

  // No more events; everything arrives.
  void Quiesce() {
    for (int round = 0; round < 300 && !testing::Test::HasFailure(); ++round) {
      now_ns_ += 100 * kMs;
      Plan();
      std::vector<std::string> ids;
      for (const auto& [id, node] : experts_) ids.push_back(id);
      for (const std::string& id : ids) {
        SimExpertNode& node = experts_.at(id);
        while (!node.arriving.empty() || node.loading) ArriveAll(node);
        HeartbeatOf(id);
      }
      for (auto& [id, node] : attention_) {
        while (!node.arriving.empty()) node.followed = node.arriving.front(), node.arriving.pop_front();
        node.in_flight.clear();
        HeartbeatOf(node);
      }
      for (const ProbeOrder& probe : std::exchange(probes_, {})) Do([&](Orders& orders) { state_.OnProbe(probe, absl::OkStatus(), now_ns_, orders); });
      const BalancerReport report = state_.Balancer(now_ns_);
      quiet_ = report.activity == "idle" ? quiet_ + 1 : 0;
      if (round == 100) Do([&](Orders& orders) { state_.Freeze(true, now_ns_, orders); });  // the schedule goes on forever
    }
    size_t slots = 0;
    for (const auto& [id, node] : experts_) slots += node.leaving ? 0 : node.slots;
    const BalancerReport report = state_.Balancer(now_ns_);
    EXPECT_GT(quiet_, 0) << report.activity << ", " << report.steps_left << " steps left, last plan: " << report.last_plan.failure;
    EXPECT_FALSE(report.stuck);
    if (slots >= static_cast<size_t>(kExpertsInAll)) {
      EXPECT_TRUE(state_.ready()) << state_.NotReadyReason() << "; last plan: " << report.last_plan.failure;
    } else {
      EXPECT_FALSE(state_.NotReadyReason().empty() && !state_.AllExpertsLive());
    }
  }

  void ArriveAll(SimExpertNode& node) {
    if (!node.arriving.empty()) node.loading = node.arriving.front(), node.arriving.pop_front();
    node.held = {node.loading->experts.begin(), node.loading->experts.end()};
    node.loaded = node.held;
    node.epoch_ready = node.loading->epoch;
    node.loading.reset();
  }

  const model::ModelConfig config_ = Config();
  SeededRandom random_;
  ClusterState state_;
  std::map<std::string, SimExpertNode> experts_, gone_;
  std::map<std::string, SimAttentionNode> attention_;
  std::vector<ProbeOrder> probes_;
  std::set<uint64_t> with_lost_;  // epochs of views when an expert was said to be lost
  std::optional<PlanJob> job_;
  int next_expert_ = 0, next_attention_ = 0, quiet_ = 0;
  uint64_t newest_epoch_ = 0;
  int64_t now_ns_ = kMs;
};

class ClusterSimulation : public testing::TestWithParam<uint64_t> {};

TEST_P(ClusterSimulation, KeepsItsPromises) {
  for (uint64_t seed = GetParam() * 10; seed < GetParam() * 10 + 10 && !HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Simulation(seed).Run(600);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ClusterSimulation, testing::Range<uint64_t>(0, 20));

}  // namespace
}  // namespace atoll::router
