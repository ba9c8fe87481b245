// What a cluster does when an expert node is lost: sequences whose rows it owed end with UNAVAILABLE naming it, all else
// goes on, and a node that comes back serves again.

#include "tests/cluster/in_memory_fixture.h"

namespace atoll::cluster_test {
namespace {

using attention_node::EndReason;
using ::testing::HasSubstr;

class FaultTest : public InMemoryClusterTest {};

TEST_F(FaultTest, ALostExpertNodeEndsItsSequencesAtOnce) {
  InMemoryCluster cluster(*checkpoint_, *shard_, {.attention_nodes = 2, .expert_nodes = 3});
  std::vector<int> handles;
  for (uint32_t i = 0; i < 6; ++i) {
    SequenceRequest request = RandomRequest(i, 20, 1500);
    request.ignore_eos = true;
    handles.push_back(cluster.Submit(std::move(request)));
  }
  for (int handle : handles) cluster.AwaitTokens(handle, 3);
  cluster.Kill(1);
  for (int handle : handles) {
    const Outcome outcome = cluster.Await(handle);
    EXPECT_EQ(outcome.end.reason, EndReason::kFailed);
    EXPECT_EQ(outcome.end.status.code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(outcome.end.status.message()), HasSubstr("expert-1"));
    EXPECT_GE(outcome.tokens.size(), 3u);
  }
  EXPECT_EQ(cluster.load(0).pages_free, 256) << "every page is back";
}

TEST_F(FaultTest, ANodeThatComesBackServesTheSameBits) {
  ClusterShape shape{.attention_nodes = 1, .expert_nodes = 3};
  const SequenceRequest request = RandomRequest(3, 40, 16);
  InMemoryCluster cluster(*checkpoint_, *shard_, shape);
  const std::string before = Fingerprint(cluster.Run({request})[0]);
  cluster.Kill(2);
  EXPECT_EQ(cluster.Run({request})[0].end.status.code(), absl::StatusCode::kUnavailable);
  cluster.Restart(2);
  EXPECT_EQ(Fingerprint(cluster.Run({request})[0]), before);
}

TEST_F(FaultTest, CancelEndsASequenceAndFreesItsPages) {
  InMemoryCluster cluster(*checkpoint_, *shard_, {.expert_nodes = 2});
  SequenceRequest request = RandomRequest(1, 100, 1500);
  request.ignore_eos = true;
  const int cancelled = cluster.Submit(request);
  const int other = cluster.Submit(RandomRequest(2, 30, 40));
  cluster.AwaitTokens(cancelled, 2);
  cluster.Cancel(cancelled);
  EXPECT_EQ(cluster.Await(cancelled).end.reason, EndReason::kCancelled);
  EXPECT_NE(cluster.Await(other).end.reason, EndReason::kFailed);
}

// Frames overtake each other between links and within them, and links break at random: whatever ends well has the right
// bits, whatever does not says UNAVAILABLE, and every page comes back.
TEST_F(FaultTest, StatusOkNeverCarriesAWrongToken) {
  std::vector<SequenceRequest> requests;
  for (uint32_t i = 0; i < 8; ++i) requests.push_back(RandomRequest(50 + i, 10 + static_cast<int>(i) * 9, 20));
  InMemoryCluster calm(*checkpoint_, *shard_, {.expert_nodes = 2});
  const std::vector<std::string> expected = Fingerprints(calm.Run(requests), requests.size());
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(seed);
    InMemoryCluster cluster(*checkpoint_, *shard_, {.attention_nodes = 2, .expert_nodes = 3});
    cluster.SetFaults({.seed = seed, .duplicate = 0.05, .reorder = 0.02, .disconnect = seed % 2 == 0 ? 0.002 : 0.0, .delay_max_ns = 100'000});
    const std::vector<Outcome> outcomes = cluster.Run(requests);
    for (size_t i = 0; i < outcomes.size(); ++i) {
      if (outcomes[i].end.reason != EndReason::kFailed) EXPECT_EQ(Fingerprint(outcomes[i]), expected[i]);
      else EXPECT_EQ(outcomes[i].end.status.code(), absl::StatusCode::kUnavailable) << outcomes[i].end.status;
    }
    for (int node : {0, 1}) EXPECT_EQ(cluster.load(node).pages_free, 256);
  }
}

}  // namespace
}  // namespace atoll::cluster_test
