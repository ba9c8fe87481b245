// Any seeded sequence of joins, losses, drains and plans: no node ever holds more than fits, never two copies of an expert
// on one, coverage is kept, and what a loss took is named and loaded again.

#include "router/placement/cluster/cluster_plan.h"

#include <gmock/gmock.h>

#include <map>
#include <set>

#include "router/placement/batch_noise.h"
#include "tests/placement/loads.h"

namespace atoll::router {
namespace {

using model::ExpertId;

constexpr int64_t kLayers = 5, kExperts = 12;

model::Placement EmptyTable() {
  model::Placement table{.epoch = 1, .layers = kLayers, .experts = kExperts, .node_ids = {}, .layer_has_experts = {}, .replicas = {}};
  for (int64_t layer = 0; layer < kLayers; ++layer) table.layer_has_experts.push_back(layer > 0);
  table.replicas.resize(kLayers * kExperts);
  return table;
}

ClusterLoads RandomLoads(SeededRandom& random) {
  ClusterLoads loads;
  for (int64_t layer = 0; layer < kLayers; ++layer) {
    loads.expected.push_back(layer == 0 ? std::vector<double>{} : SkewedLoads(kExperts, random.Bits()));
    loads.batches.emplace_back();
    if (layer > 0)
      for (int i = 0; i < 2; ++i) loads.batches.back().push_back(DrawBatch(loads.expected.back(), {1000, 0.15}, random));
  }
  return loads;
}

// The cluster as it would be: it follows a plan's steps one by one and looks at every state.
class Cluster {
 public:
  explicit Cluster(uint64_t seed) : random_(seed), table_(EmptyTable()) {}

  void Event() {
    const int32_t kind = random_.Below(4);
    if (kind == 0 && !nodes_.empty()) {
      Lose(random_.Below(static_cast<int32_t>(nodes_.size())));
    } else if (kind == 1 && !nodes_.empty()) {
      nodes_[random_.Below(static_cast<int32_t>(nodes_.size()))].draining = true;
    } else if (nodes_.size() < 7) {
      const int32_t number = next_++;
      nodes_.push_back({.node_id = "node-" + std::to_string(number), .speed = 0.5 * (1 + random_.Below(4)),
                        .memory_bytes = 10u * static_cast<uint64_t>(8 + random_.Below(40)), .host = "host-" + std::to_string(number / 2), .zone = ""});
    }
  }

  void Plan() {
    const ClusterLoads loads = RandomLoads(random_);
    ClusterPlanOptions options{.expert_bytes = 10, .min_replicas = 1 + random_.Below(2), .full = false, .max_bytes = 10 * random_.Below(20), .seed = 1};
    const auto plan = random_.Below(3) == 0 ? PlanCluster(table_, nodes_, loads, options) : MendCluster(table_, nodes_, loads, options);
    if (!plan.ok()) {
      if (plan.status().code() == absl::StatusCode::kResourceExhausted) {
        EXPECT_LT(Slots(), (kLayers - 1) * kExperts) << plan.status();
      } else {
        ++stuck_;
        EXPECT_EQ(plan.status().code(), absl::StatusCode::kFailedPrecondition) << plan.status();
      }
      return;
    }
    ++plans_;
    EXPECT_TRUE(ValidatePlacement(plan->placement).ok()) << ValidatePlacement(plan->placement);
    EXPECT_EQ(plan->placement.epoch, table_.epoch + 1);
    Follow(*plan);
    std::erase_if(nodes_, [](const ClusterNode& node) { return node.draining; });
    table_ = plan->placement;
  }

  int plans_ = 0, stuck_ = 0;

 private:
  int64_t Slots() const {
    int64_t slots = 0;
    for (const ClusterNode& node : nodes_) slots += node.draining ? 0 : static_cast<int64_t>(node.memory_bytes / 10);
    return slots;
  }

  void Lose(int32_t gone) {
    const std::string id = nodes_[gone].node_id;
    nodes_.erase(nodes_.begin() + gone);
    const auto known = std::find(table_.node_ids.begin(), table_.node_ids.end(), id);
    if (known == table_.node_ids.end()) return;
    const auto index = static_cast<int32_t>(known - table_.node_ids.begin());
    for (auto& replicas : table_.replicas) std::erase_if(replicas, [&](const model::Replica& r) { return r.node == index; });
  }

  void Follow(const ClusterPlan& plan) {
    std::map<std::string, std::set<ExpertId>> held;
    std::map<std::string, uint64_t> memory;
    std::map<ExpertId, int> live;
    for (const ClusterNode& node : nodes_) {
      memory[node.node_id] = node.memory_bytes;
      if (node.draining) continue;
      const auto known = std::find(table_.node_ids.begin(), table_.node_ids.end(), node.node_id);
      if (known == table_.node_ids.end()) continue;
      for (const ExpertId& id : ExpertsOfNode(table_, static_cast<int32_t>(known - table_.node_ids.begin()))) held[node.node_id].insert(id), ++live[id];
    }
    std::set<ExpertId> lost;
    for (int32_t layer = 1; layer < kLayers; ++layer)
      for (int32_t e = 0; e < kExperts; ++e)
        if (live[{layer, e}] == 0) lost.insert({layer, e});
    EXPECT_EQ(lost, std::set<ExpertId>(plan.lost.begin(), plan.lost.end()));
    int64_t bytes = 0;
    for (const MigrationStep& step : plan.steps) {
      std::set<ExpertId>& on_node = held[plan.placement.node_ids[step.node]];
      if (step.load) {
        bytes += 10;
        ASSERT_TRUE(on_node.insert(step.expert).second) << "two copies on a node";
        ++live[step.expert];
        ASSERT_LE(on_node.size() * 10, memory[plan.placement.node_ids[step.node]]);
      } else {
        ASSERT_EQ(on_node.erase(step.expert), 1u);
        ASSERT_GE(--live[step.expert], 1) << "the last replica was freed";
      }
    }
    EXPECT_EQ(bytes, plan.bytes);
    for (int32_t n = 0; n < static_cast<int32_t>(plan.placement.node_ids.size()); ++n) {
      const std::vector<ExpertId> wanted = ExpertsOfNode(plan.placement, n);
      EXPECT_EQ(held[plan.placement.node_ids[n]], std::set<ExpertId>(wanted.begin(), wanted.end()));
    }
  }

  SeededRandom random_;
  model::Placement table_;
  std::vector<ClusterNode> nodes_;
  int next_ = 0;
};

TEST(ClusterPlan, AnySequenceOfEventsKeepsMemoryAndCoverage) {
  int plans = 0, stuck = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Cluster cluster(seed);
    for (int i = 0; i < 30; ++i) {
      cluster.Event();
      cluster.Plan();
      if (testing::Test::HasFatalFailure()) return;
    }
    plans += cluster.plans_;
    stuck += cluster.stuck_;
  }
  RecordProperty("plans", plans);
  EXPECT_GT(plans, 600);
  EXPECT_LE(stuck, plans / 50);
}

std::vector<ClusterNode> FourNodes(uint64_t slots) {
  std::vector<ClusterNode> nodes;
  for (const char* id : {"a", "b", "c", "d"}) nodes.push_back({.node_id = id, .speed = 1, .memory_bytes = slots * 10, .host = id, .zone = ""});
  return nodes;
}

TEST(ClusterPlan, TwoCopiesEverywhereLeaveNothingUncovered) {
  SeededRandom random(1);
  const auto plan = PlanCluster(EmptyTable(), FourNodes(30), RandomLoads(random), {.expert_bytes = 10});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->uncovered_by_one_loss, 0);
  EXPECT_EQ(plan->lost.size(), 48u);
  const auto tight = PlanCluster(EmptyTable(), FourNodes(12), RandomLoads(random), {.expert_bytes = 10});
  ASSERT_TRUE(tight.ok()) << tight.status();
  EXPECT_EQ(tight->uncovered_by_one_loss, 12);
}

TEST(ClusterPlan, ALossIsMendedWithoutMovingTheRest) {
  SeededRandom random(2);
  const ClusterLoads loads = RandomLoads(random);
  const ClusterPlanOptions options{.expert_bytes = 10};
  std::vector<ClusterNode> nodes = FourNodes(34);
  const auto before = PlanCluster(EmptyTable(), nodes, loads, options);
  ASSERT_TRUE(before.ok());
  nodes.pop_back();
  const auto after = MendCluster(before->placement, nodes, loads, options);
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_TRUE(after->lost.empty());
  EXPECT_EQ(after->uncovered_by_one_loss, 0);
  const int64_t of_lost_node = static_cast<int64_t>(ExpertsOfNode(before->placement, 3).size());
  EXPECT_LE(after->bytes, of_lost_node * 10);
}

TEST(ClusterPlan, AJoinFillsTheNewNodeOnly) {
  SeededRandom random(3);
  const ClusterLoads loads = RandomLoads(random);
  std::vector<ClusterNode> nodes = FourNodes(24);
  const ClusterNode fourth = nodes.back();
  nodes.pop_back();
  const auto before = PlanCluster(EmptyTable(), nodes, loads, {.expert_bytes = 10, .min_replicas = 1});
  ASSERT_TRUE(before.ok());
  nodes.push_back(fourth);
  const auto after = MendCluster(before->placement, nodes, loads, {.expert_bytes = 10, .min_replicas = 1});
  ASSERT_TRUE(after.ok()) << after.status();
  for (const MigrationStep& step : after->steps) EXPECT_EQ(step.node, 3);
  EXPECT_EQ(after->bytes, 240);
}

TEST(ClusterPlan, SaysWhatDoesNotFit) {
  SeededRandom random(4);
  const auto plan = PlanCluster(EmptyTable(), FourNodes(11), RandomLoads(random), {.expert_bytes = 10});
  EXPECT_EQ(plan.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(plan.status().message()), testing::HasSubstr("48 experts"));
}

}  // namespace
}  // namespace atoll::router
