// What the page says has happened, from two looks at the cluster.

#include "router/page/change_log.h"

#include <gmock/gmock.h>

namespace atoll::router::page {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

NodeReport NodeIn(NodeState state, const std::string& id, uint64_t incarnation = 1) {
  NodeReport report{.node = {}, .state = state};
  report.node.hello.node_id = id;
  report.node.hello.incarnation = incarnation;
  report.node.alive = state != NodeState::kLost;
  return report;
}

ClusterReport Ready(std::vector<NodeReport> nodes) {
  ClusterReport report;
  report.ready = true;
  report.nodes = std::move(nodes);
  report.balancer.activity = "idle";
  return report;
}

std::vector<std::string> Texts(const ChangeLog& log) {
  std::vector<std::string> texts;
  for (const Change& change : log.changes()) texts.push_back(change.kind + ": " + change.text);
  return texts;
}

TEST(ChangeLog, TheFirstLookAndAnEqualOneSayNothing) {
  ChangeLog log;
  log.Look(Ready({NodeIn(NodeState::kReady, "e1")}), 1);
  log.Look(Ready({NodeIn(NodeState::kReady, "e1")}), 2);
  EXPECT_TRUE(log.changes().empty());
}

TEST(ChangeLog, SaysWhatBecomesOfNodes) {
  ChangeLog log;
  log.Look(Ready({NodeIn(NodeState::kReady, "e1"), NodeIn(NodeState::kReady, "e2"), NodeIn(NodeState::kReady, "e3")}), 1);
  NodeReport lost = NodeIn(NodeState::kLost, "e1");
  lost.node.lost_because = "its stream broke";
  log.Look(Ready({lost, NodeIn(NodeState::kLoading, "e2", 2), NodeIn(NodeState::kJoining, "e4")}), 7);
  EXPECT_THAT(Texts(log), ElementsAre("node: e1 is lost: its stream broke", "node: e2 has joined again (loading)", "node: expert node e4 has joined (joining)",
                                      "node: e3 is forgotten"));
  EXPECT_TRUE(log.changes()[0].bad);
  EXPECT_FALSE(log.changes()[1].bad);
  EXPECT_EQ(log.changes()[0].unix_ms, 7);
  EXPECT_EQ(log.changes()[0].number, 1u);
}

TEST(ChangeLog, FollowsAMigration) {
  ChangeLog log;
  ClusterReport report = Ready({});
  log.Look(report, 1);
  report.balancer.placement_epoch = 9;
  report.balancer.activity = "loading (drift)";
  report.balancer.last_plan = {.kind = "drift", .failure = "", .balance_mean = 0.9, .loads = 3, .frees = 2, .bytes = 4500000};
  report.balancer.rounds = 1;
  report.balancer.replicas_loaded = 3;
  report.balancer.steps_left = 2;
  log.Look(report, 2);
  report.balancer.activity = "idle";
  log.Look(report, 3);
  EXPECT_THAT(Texts(log), ElementsAre("placement: epoch 9, drift: 3 replicas to load (4.5 MB), 2 to free, balance 0.900",
                                      "migration: round 1: 3 replicas are loaded, 2 steps are left", "migration: the placement of epoch 9 is in place"));
}

TEST(ChangeLog, SaysWhyTheClusterIsNotReady) {
  ChangeLog log;
  ClusterReport report = Ready({});
  log.Look(report, 1);
  report.ready = false;
  report.not_ready_reason = "5 experts have no live host";
  report.balancer.lost_experts = 5;
  log.Look(report, 2);
  EXPECT_THAT(Texts(log), ElementsAre("placement: 5 experts have no live host", "ready: not ready: 5 experts have no live host"));
  EXPECT_TRUE(log.changes()[1].bad);
}

TEST(ChangeLog, KeepsTheNewest) {
  ChangeLog log;
  ClusterReport report = Ready({});
  for (int64_t i = 0; i < 500; ++i) {
    report.ready = !report.ready;
    log.Look(report, i);
  }
  EXPECT_EQ(log.changes().size(), ChangeLog::kKept);
  EXPECT_EQ(log.changes().back().number, 499u);
  EXPECT_EQ(log.newest(), 499u);
}

}  // namespace
}  // namespace atoll::router::page
