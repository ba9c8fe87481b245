#include "attention_node/routing_bias/biased_gate.h"

#include <gtest/gtest.h>

#include "tests/attention_node/forward_pass.h"

namespace atoll::attention_node {
namespace {

constexpr char kTales[] = ATOLL_SOURCE_DIR "/checkpoints/tales";
constexpr int32_t kTokens = 520;

ForwardRun Text() {
  ForwardRun run;
  for (int32_t i = 0; i < kTokens; ++i) run.tokens.push_back(i == 0 ? 0 : 3 + (i * 977 + i * i * 31) % 4000);
  run.prompt_count = kTokens;
  run.chunk = 130;
  return run;
}

// Eight nodes of four experts each, no replicas: nothing evens out without the bias.
node::ClusterView ViewOf(const model::ModelConfig& config, float epsilon, float changed_max) {
  node::ClusterView view;
  view.placement = model::EmptyPlacement(config, true);
  for (int32_t n = 0; n < 8; ++n) {
    node::ExpertPeer peer;
    peer.node_id = "e" + std::to_string(n);
    peer.alive = true;
    view.expert_nodes.push_back(peer);
    view.placement.node_ids.push_back("e" + std::to_string(n));
  }
  for (int32_t layer = 0; layer < view.placement.layers; ++layer) {
    for (int32_t e = 0; e < view.placement.experts && view.placement.layer_has_experts[layer]; ++e)
      view.placement.ReplicasOf({layer, e}) = {{e % 8, 1}};
  }
  view.routing_bias.resize(view.placement.layers);
  view.routing_bias_epsilon = epsilon;
  view.routing_bias_changed_max = changed_max;
  return view;
}

class BiasedGateOfTales : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ForwardOptions options;
    options.kernels = {kernels::DetectIsa(), nullptr};
    auto pass = ForwardPass::Load(kTales, options);
    ASSERT_TRUE(pass.ok()) << pass.status();
    pass_ = std::move(*pass);
    plain_ = pass_->Run(Text());
  }
  static void TearDownTestSuite() { pass_ = nullptr; }
  void SetUp() override { ASSERT_NE(pass_, nullptr); }
  void TearDown() override {
    bias().SetView(ViewOf(pass_->config(), 0, 1));
    bias().TakeCounts();
  }
  BiasedGate& bias() { return pass_->routing_bias(); }
  uint64_t DecisionsOfARun() const { return static_cast<uint64_t>(kTokens) * 5 * 4; }  // MoE layers, experts per token

  static inline std::unique_ptr<ForwardPass> pass_;
  static inline ForwardTrace plain_;  // without a bias
};

TEST_F(BiasedGateOfTales, EpsilonZeroIsOffToTheBit) {
  bias().SetView(ViewOf(pass_->config(), 0, 1));
  const ForwardTrace trace = pass_->Run(Text());
  EXPECT_EQ(trace.logits, plain_.logits);
  EXPECT_EQ(trace.experts, plain_.experts);
  EXPECT_EQ(bias().TakeCounts().decisions, 0u);
}

TEST_F(BiasedGateOfTales, CountsWhatItChangesAndRelievesNodes) {
  bias().SetView(ViewOf(pass_->config(), 0.02F, 1));
  const ForwardTrace trace = pass_->Run(Text());
  const node::RoutingBiasCounts counts = bias().TakeCounts();
  EXPECT_EQ(counts.decisions, DecisionsOfARun());
  EXPECT_GT(counts.changed, 0u);
  EXPECT_LT(counts.changed, counts.decisions / 10);
  EXPECT_LT(counts.score_mass_kept, counts.score_mass);
  EXPECT_GT(counts.score_mass_kept, 0.99 * counts.score_mass);
  EXPECT_EQ(counts.batches, 20u);
  EXPECT_LT(counts.busiest_after, counts.busiest_before);
  EXPECT_FALSE(counts.switched_off);
  EXPECT_EQ(bias().TakeCounts().decisions, 0u);
  EXPECT_NE(trace.experts, plain_.experts);

  // Off again: as if it had never been on.
  bias().SetView(ViewOf(pass_->config(), 0, 1));
  EXPECT_EQ(pass_->Run(Text()).logits, plain_.logits);
}

TEST_F(BiasedGateOfTales, WeightsAreThoseOfTheChosenExpertsWithoutTheBias) {
  node::ClusterView view = ViewOf(pass_->config(), 0.02F, 1);
  for (int32_t e = 0; e < 32; ++e) view.routing_bias[1].push_back(e % 8 < 4 ? 0.02F : -0.02F);
  bias().SetView(view);
  const ForwardTrace trace = pass_->Run(Text());
  EXPECT_NE(trace.experts[1], plain_.experts[1]);
  // Layer 1 is the first with experts: its input, and so its scores, are those of the plain run. Where the choice is the
  // same the weights are the same bits; everywhere they add up to the scaling factor.
  for (int32_t row = 0; row < kTokens; ++row) {
    const auto of = [&](const auto& layers) { return std::vector(layers[1].begin() + row * 4, layers[1].begin() + row * 4 + 4); };
    if (of(trace.experts) == of(plain_.experts)) {
      EXPECT_EQ(of(trace.expert_weights), of(plain_.expert_weights));
    }
    float sum = 0;
    for (const float weight : of(trace.expert_weights)) sum += weight;
    EXPECT_NEAR(sum, 2, 1e-5);
  }
}

TEST_F(BiasedGateOfTales, TheCapSwitchesItOffAndSaysSo) {
  bias().SetView(ViewOf(pass_->config(), 0.02F, 1e-6F));
  for (int i = 0; i < 2; ++i) pass_->Run(Text());
  const node::RoutingBiasCounts counts = bias().TakeCounts();
  EXPECT_TRUE(counts.switched_off);
  EXPECT_LT(counts.decisions, 2 * DecisionsOfARun());  // it stopped on the way
  EXPECT_EQ(pass_->Run(Text()).logits, plain_.logits);
  EXPECT_EQ(bias().TakeCounts().decisions, 0u);
}

TEST_F(BiasedGateOfTales, ALayerWithAnExpertThatNobodyHoldsIsNotRerouted) {
  node::ClusterView view = ViewOf(pass_->config(), 0.02F, 1);
  view.expert_nodes[3].alive = false;
  bias().SetView(view);
  EXPECT_EQ(pass_->Run(Text()).logits, plain_.logits);
  const node::RoutingBiasCounts counts = bias().TakeCounts();
  EXPECT_EQ(counts.decisions, DecisionsOfARun());
  EXPECT_EQ(counts.changed, 0u);
  EXPECT_EQ(counts.batches, 0u);
}

}  // namespace
}  // namespace atoll::attention_node
