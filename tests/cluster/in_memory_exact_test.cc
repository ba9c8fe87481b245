// Promise P1: a sequence's tokens and logprobs depend on model, prompt, sampling parameters and seed alone. Every test
// compares with one sequence at a time on one attention and one expert node, to the bit.

#include "tests/cluster/in_memory_fixture.h"

namespace atoll::cluster_test {
namespace {

using attention_node::MicroBatchSetting;

class ExactTest : public InMemoryClusterTest {
 protected:
  // Alone, 1 x 1, one thread, the reference for all others.
  static const std::vector<std::string>& Expected() {
    static const std::vector<std::string> expected = [] {
      InMemoryCluster cluster(*checkpoint_, *shard_, {});
      std::vector<std::string> prints;
      for (const SequenceRequest& request : PromptSet()) prints.push_back(Fingerprint(cluster.Run({request})[0]));
      return prints;
    }();
    return expected;
  }

  static std::vector<std::string> Together(const ClusterShape& shape) {
    InMemoryCluster cluster(*checkpoint_, *shard_, shape);
    return Fingerprints(cluster.Run(PromptSet()), PromptSet().size());
  }
};

TEST_F(ExactTest, TheReferenceIsSound) {
  InMemoryCluster cluster(*checkpoint_, *shard_, {});
  const std::vector<SequenceRequest> set = PromptSet();
  for (size_t i = 0; i < set.size(); ++i) {
    const Outcome outcome = cluster.Run({set[i]})[0];
    EXPECT_EQ(outcome.end.reason, attention_node::EndReason::kLength) << outcome.end.status;
    EXPECT_EQ(outcome.tokens.size(), static_cast<size_t>(set[i].max_tokens));
    EXPECT_EQ(Fingerprint(outcome), Expected()[i]) << "the same again";
  }
  EXPECT_NE(Expected()[1], Expected()[5]);
}

TEST_F(ExactTest, WhateverTheNumberOfNodes) {
  for (const auto& [attention, experts] : {std::pair{1, 1}, {1, 2}, {2, 3}, {3, 5}})
    EXPECT_EQ(Together({.attention_nodes = attention, .expert_nodes = experts}), Expected()) << attention << " x " << experts;
}

TEST_F(ExactTest, WhereverTheReplicasLie) {
  for (int seed : {1, 2}) EXPECT_EQ(Together({.expert_nodes = 3, .placement_seed = seed}), Expected()) << seed;
}

TEST_F(ExactTest, AmongStrangers) {
  InMemoryCluster cluster(*checkpoint_, *shard_, {.attention_nodes = 1, .expert_nodes = 2});
  std::vector<SequenceRequest> requests = PromptSet();
  const size_t ours = requests.size();
  for (uint32_t i = 0; i < 32; ++i) {
    requests.push_back(RandomRequest(100 + i, 1 + static_cast<int>(i * 5), 10 + static_cast<int>(i)));
    requests.back().sampling.temperature = i % 2 ? 1.0f : 0.0f;
    requests.back().sampling.seed = i;
  }
  EXPECT_EQ(Fingerprints(cluster.Run(requests), ours), Expected());
}

TEST_F(ExactTest, HoweverPrefillIsChunked) {
  for (int rows : {16, 512}) {
    ClusterShape shape{.expert_nodes = 2};
    shape.core.max_num_batched_tokens = rows;
    EXPECT_EQ(Together(shape), Expected()) << rows;
  }
}

TEST_F(ExactTest, WhenDecodeRowsTakeTurns) {
  ClusterShape shape{.expert_nodes = 2};
  shape.core.max_num_batched_tokens = 3;
  EXPECT_EQ(Together(shape), Expected());
}

TEST_F(ExactTest, AcrossPreemption) {
  ClusterShape shape{.expert_nodes = 2};
  shape.core.pages = 12;  // the prompts fit, what follows does not
  shape.core.max_num_batched_tokens = 64;
  InMemoryCluster cluster(*checkpoint_, *shard_, shape);
  EXPECT_EQ(Fingerprints(cluster.Run(PromptSet()), PromptSet().size()), Expected());
  EXPECT_GT(cluster.preemptions(), 0) << "the test tests nothing";
  EXPECT_EQ(cluster.load(0).pages_free, 12);
}

TEST_F(ExactTest, WithOneMicroBatchOrTwo) {
  for (MicroBatchSetting setting : {MicroBatchSetting::kOne, MicroBatchSetting::kTwo}) {
    ClusterShape shape{.expert_nodes = 2};
    shape.core.micro_batches = setting;
    shape.core.max_num_batched_tokens = 100;
    EXPECT_EQ(Together(shape), Expected()) << static_cast<int>(setting);
  }
}

TEST_F(ExactTest, WithOneThreadOrTwo) {
  for (int threads : {1, 2}) EXPECT_EQ(Together({.expert_nodes = 2, .threads = threads}), Expected()) << threads;
}

TEST_F(ExactTest, OnEveryInstructionSet) {
  using kernels::Isa;
  for (Isa isa : {Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16}) {
    if (!kernels::HostSupports(isa)) continue;
    EXPECT_EQ(Together({.expert_nodes = 2, .isa = isa}), Expected()) << kernels::IsaName(isa);
  }
}

// The specification itself is slow: two sequences.
TEST_F(ExactTest, OnThePlainLoops) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "minutes under the thread sanitizer, and nothing of it is about threads";
#endif
  InMemoryCluster cluster(*checkpoint_, *shard_, {.expert_nodes = 2, .isa = kernels::Isa::kReference});
  const std::vector<SequenceRequest> set = PromptSet();
  const std::vector<Outcome> outcomes = cluster.Run({set[3], set[4]});
  EXPECT_EQ(Fingerprint(outcomes[0]), Expected()[3]);
  EXPECT_EQ(Fingerprint(outcomes[1]), Expected()[4]);
}

TEST_F(ExactTest, OverALinkThatDelays) {
  ClusterShape shape{.attention_nodes = 2, .expert_nodes = 3};
  shape.core.micro_batches = MicroBatchSetting::kTwo;
  InMemoryCluster cluster(*checkpoint_, *shard_, shape);
  cluster.SetFaults({.seed = 7, .delay_min_ns = 0, .delay_max_ns = 300'000});
  EXPECT_EQ(Fingerprints(cluster.Run(PromptSet()), PromptSet().size()), Expected());
}

TEST_F(ExactTest, InFloat32Too) {
  const auto run = [](int attention, int experts, int rows) {
    ClusterShape shape{.attention_nodes = attention, .expert_nodes = experts};
    shape.core.activation_dtype = DType::kF32;
    shape.core.max_num_batched_tokens = rows;
    InMemoryCluster cluster(*checkpoint_, *shard_, shape);
    return Fingerprints(cluster.Run(PromptSet()), PromptSet().size());
  };
  const std::vector<std::string> expected = run(1, 1, 512);
  EXPECT_NE(expected, Expected());
  EXPECT_EQ(run(2, 3, 16), expected);
}

}  // namespace
}  // namespace atoll::cluster_test
