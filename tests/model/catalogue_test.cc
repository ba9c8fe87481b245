#include <gtest/gtest.h>

#include <set>

#include "model/shard_plan.h"
#include "model/tensor_catalogue.h"
#include "tests/model/configs.h"

namespace atoll::model {
namespace {

ModelConfig Config(const std::string& json) { return *ParseModelConfig(json); }

// Check 1 of the specification: counts and bytes were derived from the sizes of the published files.
TEST(TensorCatalogue, HoldsEveryTensorOfThe671BCheckpoint) {
  const TensorCatalogue catalogue(Config(kV3Config));
  EXPECT_EQ(catalogue.specs().size(), 91991u);
  EXPECT_EQ(catalogue.bytes(), 688574839360);
  std::set<std::string> names;
  for (const TensorSpec& spec : catalogue.specs()) names.insert(spec.name);
  EXPECT_EQ(names.size(), 91991u);
}

void ExpectTensor(const TensorCatalogue& catalogue, const std::string& name, int64_t rows, int64_t cols, DType dtype) {
  const int64_t at = catalogue.IndexOf(name);
  ASSERT_GE(at, 0) << name;
  const TensorSpec& spec = catalogue.specs()[at];
  EXPECT_EQ(spec.name, name);
  EXPECT_EQ(spec.rows, rows) << name;
  EXPECT_EQ(spec.cols, cols) << name;
  EXPECT_EQ(spec.dtype, dtype) << name;
}

// Check 1 of the specification: the shapes of section 2.3, the ragged scale block among them.
TEST(TensorCatalogue, HasTheShapesOfThe671BCheckpoint) {
  const TensorCatalogue catalogue(Config(kV3Config));
  ExpectTensor(catalogue, "model.embed_tokens.weight", 129280, 7168, DType::kBF16);
  ExpectTensor(catalogue, "model.layers.0.self_attn.kv_a_proj_with_mqa.weight", 576, 7168, DType::kF8E4M3);
  ExpectTensor(catalogue, "model.layers.0.self_attn.kv_a_proj_with_mqa.weight_scale_inv", 5, 56, DType::kF32);
  ExpectTensor(catalogue, "model.layers.60.self_attn.kv_b_proj.weight", 32768, 512, DType::kF8E4M3);
  ExpectTensor(catalogue, "model.layers.60.self_attn.o_proj.weight", 7168, 16384, DType::kF8E4M3);
  ExpectTensor(catalogue, "model.layers.2.mlp.down_proj.weight_scale_inv", 56, 144, DType::kF32);
  ExpectTensor(catalogue, "model.layers.3.mlp.gate.weight", 256, 7168, DType::kBF16);
  ExpectTensor(catalogue, "model.layers.3.mlp.gate.e_score_correction_bias", 256, 0, DType::kF32);
  ExpectTensor(catalogue, ExpertTensorName(61, 255, ExpertMatrix::kDown), 7168, 2048, DType::kF8E4M3);
  ExpectTensor(catalogue, "model.layers.61.eh_proj.weight", 7168, 14336, DType::kBF16);
  ExpectTensor(catalogue, "model.layers.61.shared_head.norm.weight", 7168, 0, DType::kBF16);
  EXPECT_EQ(catalogue.IndexOf("model.layers.3.mlp.gate_proj.weight"), -1);
  EXPECT_EQ(catalogue.IndexOf("model.layers.60.enorm.weight"), -1);
}

TEST(TensorCatalogue, FollowsTheVariantsOfTheFamily) {
  const TensorCatalogue moonlight(Config(kMoonlightConfig));
  ExpectTensor(moonlight, "model.layers.0.self_attn.q_proj.weight", 3072, 2048, DType::kBF16);
  ExpectTensor(moonlight, "model.layers.1.mlp.shared_experts.up_proj.weight", 2816, 2048, DType::kBF16);
  EXPECT_EQ(moonlight.IndexOf("model.layers.0.self_attn.q_a_proj.weight"), -1);
  EXPECT_EQ(moonlight.IndexOf("model.layers.0.self_attn.q_proj.weight_scale_inv"), -1);
  EXPECT_EQ(TensorCatalogue(Config(kKimiK2Config)).IndexOf("model.layers.61.enorm.weight"), -1);
}

TEST(TensorCatalogue, SkipsOnlyInverseFrequencies) {
  EXPECT_TRUE(IsSkippedTensorName("model.layers.4.self_attn.rotary_emb.inv_freq"));
  EXPECT_FALSE(IsSkippedTensorName("model.layers.4.self_attn.q_proj.bias"));
}

TEST(ShardPlan, AnAttentionNodeHoldsNoRoutedExpert) {
  const ModelConfig config = Config(kV3Config);
  const TensorCatalogue catalogue(config);
  const ShardPlan plan = AttentionShard(catalogue, /*with_mtp=*/true);
  for (int64_t index : plan.tensors) {
    const TensorSpec& spec = catalogue.specs()[index];
    EXPECT_EQ(spec.expert, -1) << spec.name;
    EXPECT_EQ(spec.name.find(".experts."), std::string::npos) << spec.name;
    EXPECT_TRUE(spec.duplicate_of.empty()) << spec.name;
  }
}

TEST(ShardPlan, AnExpertNodeHoldsItsExpertsAndNothingElse) {
  const ModelConfig config = Config(kV3Config);
  const TensorCatalogue catalogue(config);
  const std::vector<ExpertId> ids = {{61, 255}, {3, 0}};
  const auto plan = ExpertShard(catalogue, config, ids);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->tensors.size(), 12u);
  EXPECT_EQ(plan->bytes, 2 * ExpertBytes(config));
  EXPECT_EQ(ExpertBytes(config), 44040192 + 3 * 16 * 56 * 4);
  for (int64_t index : plan->tensors) {
    const TensorSpec& spec = catalogue.specs()[index];
    EXPECT_TRUE((spec.layer == 61 && spec.expert == 255) || (spec.layer == 3 && spec.expert == 0)) << spec.name;
  }
}

// Attention shard, all experts and the two MTP duplicates are the whole checkpoint.
TEST(ShardPlan, ShardsAddUpToTheCheckpoint) {
  const ModelConfig config = Config(kV3Config);
  const TensorCatalogue catalogue(config);
  const auto experts = ExpertShard(catalogue, config, AllExperts(config, true));
  ASSERT_TRUE(experts.ok());
  const int64_t duplicates = 2 * 129280 * int64_t{7168} * 2;
  EXPECT_EQ(AttentionShard(catalogue, true).bytes + experts->bytes + duplicates, catalogue.bytes());
  EXPECT_LT(AttentionShard(catalogue, false).bytes, AttentionShard(catalogue, true).bytes);
}

TEST(ShardPlan, RefusesExpertsThatDoNotExist) {
  const ModelConfig config = Config(kV3Config);
  const TensorCatalogue catalogue(config);
  for (ExpertId id : {ExpertId{2, 0}, ExpertId{62, 0}, ExpertId{3, 256}, ExpertId{-1, 0}, ExpertId{3, -1}}) {
    EXPECT_FALSE(ExpertShard(catalogue, config, std::vector<ExpertId>{id}).ok()) << id.layer << " " << id.expert;
  }
  EXPECT_FALSE(ExpertShard(catalogue, config, std::vector<ExpertId>{{3, 1}, {3, 1}}).ok());
}

}  // namespace
}  // namespace atoll::model
