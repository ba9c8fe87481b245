// Experts move while sequences stream: nobody notices (promise P3), and with second replicas nobody notices a loss either
// (P2). Every test compares with the same requests on a cluster that stays as it is, to the bit.

#include <algorithm>
#include <numeric>

#include "tests/cluster/in_memory_fixture.h"

namespace atoll::cluster_test {
namespace {

using attention_node::EndReason;

#ifdef __SANITIZE_THREAD__
constexpr int kTokens = 60;
#else
constexpr int kTokens = 300;
#endif

class ReplaceTest : public InMemoryClusterTest {
 protected:
  static std::vector<SequenceRequest> Streams() {
    std::vector<SequenceRequest> streams;
    for (uint32_t i = 0; i < 8; ++i) {
      streams.push_back(RandomRequest(200 + i, 5 + static_cast<int>(i) * 11, kTokens));
      streams.back().ignore_eos = true;
      streams.back().sampling.temperature = i % 2 ? 0.8f : 0.0f;
      streams.back().sampling.seed = i;
    }
    return streams;
  }

  static const std::vector<std::string>& Expected() {
    static const std::vector<std::string> expected = [] {
      InMemoryCluster cluster(*checkpoint_, *shard_, {});
      return Fingerprints(cluster.Run(Streams()), Streams().size());
    }();
    return expected;
  }

  // Submits the streams and returns once each is under way.
  static std::vector<int> Begin(InMemoryCluster& cluster) {
    std::vector<int> handles;
    for (SequenceRequest& request : Streams()) handles.push_back(cluster.Submit(std::move(request)));
    for (const int handle : handles) cluster.AwaitTokens(handle, 2);
    return handles;
  }

  static void ExpectUndisturbed(InMemoryCluster& cluster, const std::vector<int>& handles) {
    for (size_t i = 0; i < handles.size(); ++i) {
      const Outcome outcome = cluster.Await(handles[i]);
      EXPECT_EQ(outcome.end.reason, EndReason::kLength) << outcome.end.status;
      EXPECT_TRUE(Fingerprint(outcome) == Expected()[i]) << "stream " << i;
    }
  }

  // One replica of everything, or as many as there are nodes, or anything between; sometimes only some experts move.
  static model::Placement RandomPlacement(const model::Placement& before, std::mt19937& random) {
    const int32_t nodes = static_cast<int32_t>(before.node_ids.size());
    const uint32_t kind = random() % 4;
    model::Placement next = before;
    for (const model::ExpertId& id : model::AllExperts(checkpoint_->config(), checkpoint_->has_mtp())) {
      if (kind == 0 && random() % 8 != 0) continue;
      std::vector<int32_t> order(nodes);
      std::iota(order.begin(), order.end(), 0);
      std::shuffle(order.begin(), order.end(), random);
      const int32_t copies = kind == 1 ? 1 : kind == 2 ? nodes : 1 + static_cast<int32_t>(random() % nodes);
      next.ReplicasOf(id).clear();
      for (int32_t i = 0; i < copies; ++i) next.ReplicasOf(id).push_back({order[i], 1.0 / copies});
    }
    return next;
  }
};

TEST_F(ReplaceTest, ManyPlacementsChangeNoBit) {
  for (const uint32_t seed : {1u, 2u}) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    InMemoryCluster cluster(*checkpoint_, *shard_, {.attention_nodes = 2, .expert_nodes = 3});
    const std::vector<int> handles = Begin(cluster);
    for (int round = 0; round < 12; ++round) cluster.Replace(RandomPlacement(cluster.placement(), random));
    ExpectUndisturbed(cluster, handles);
    EXPECT_EQ(cluster.refused(), 0u) << "what is acknowledged is followed";
    EXPECT_EQ(cluster.parts_sent_again(), 0u);
  }
}

TEST_F(ReplaceTest, WithReplicasOfEverythingNoBitChanges) {
  for (const int copies : {2, 3}) {
    InMemoryCluster cluster(*checkpoint_, *shard_, {.attention_nodes = 2, .expert_nodes = 3, .copies = copies});
    ExpectUndisturbed(cluster, Begin(cluster));
  }
}

// An idle cluster acknowledges too: Replace waits for it.
TEST_F(ReplaceTest, AnIdleClusterFollows) {
  std::mt19937 random(5);
  InMemoryCluster cluster(*checkpoint_, *shard_, {.attention_nodes = 2, .expert_nodes = 3});
  for (int round = 0; round < 3; ++round) cluster.Replace(RandomPlacement(cluster.placement(), random));
  ExpectUndisturbed(cluster, Begin(cluster));
}

TEST_F(ReplaceTest, ARefusedDispatchOfAnOldEpochIsSentAgain) {
  InMemoryCluster cluster(*checkpoint_, *shard_, {.attention_nodes = 2, .expert_nodes = 2});
  model::Placement swapped = cluster.placement();
  for (std::vector<model::Replica>& replicas : swapped.replicas)
    for (model::Replica& replica : replicas) replica.node = 1 - replica.node;
  const std::vector<int> handles = Begin(cluster);
  cluster.LoadAndFree(swapped);
  for (size_t tokens = 3; cluster.refused() == 0 && tokens < kTokens; ++tokens) cluster.AwaitTokens(handles[0], tokens);
  cluster.Announce(swapped);
  ExpectUndisturbed(cluster, handles);
  if (cluster.refused() == 0) GTEST_SKIP() << "the machine is too busy: the sequences ended before the old replicas were freed";
  EXPECT_GT(cluster.parts_sent_again(), 0u);
}

// Nodes are killed, and come back, until one had rows of ours; nobody announces the loss.
TEST_F(ReplaceTest, ALossWithSecondReplicasIsNoLoss) {
  ClusterShape shape{.attention_nodes = 2, .expert_nodes = 3, .copies = 2};
  InMemoryCluster cluster(*checkpoint_, *shard_, shape);
  cluster.SetFaults({.seed = 3, .delay_min_ns = 0, .delay_max_ns = 300'000});
  const std::vector<int> handles = Begin(cluster);
  for (int round = 0; round < 12 && cluster.parts_sent_again() == 0; ++round) {
    cluster.Kill(round % 3);
    for (const int handle : {handles[0], handles[1]}) cluster.AwaitTokens(handle, static_cast<size_t>(4 * round + 6));
    cluster.Restart(round % 3);
  }
  EXPECT_GT(cluster.parts_sent_again(), 0u);
  ExpectUndisturbed(cluster, handles);
}

TEST_F(ReplaceTest, NodesShareBySpeed) {
  InMemoryCluster cluster(*checkpoint_, *shard_, {.expert_nodes = 2, .copies = 2, .speeds = {3, 1}});
  ExpectUndisturbed(cluster, Begin(cluster));
  const auto fast = static_cast<double>(cluster.rows_run(0)), slow = static_cast<double>(cluster.rows_run(1));
  EXPECT_GT(fast / slow, 2);
  EXPECT_LT(fast / slow, 4.5);
}

}  // namespace
}  // namespace atoll::cluster_test
