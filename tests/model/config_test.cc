#include "model/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/model/configs.h"

namespace atoll::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Expects a refusal whose text names `part`.
void ExpectRefused(const std::string& json, const std::string& part) {
  const auto config = ParseModelConfig(json);
  ASSERT_FALSE(config.ok()) << "accepted, expected a refusal about " << part;
  EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(config.status().message()), HasSubstr(part));
}

// A change to the V3 config and what the refusal must name.
void ExpectRefusedChange(const std::string& from, const std::string& to, const std::string& part) {
  const std::string changed = With(kV3Config, from, to);
  ASSERT_NE(changed, kV3Config) << from;
  ExpectRefused(changed, part);
}

TEST(ModelConfig, ReadsV3) {
  const auto config = ParseModelConfig(kV3Config);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->hidden_size, 7168);
  EXPECT_EQ(config->layers_total(), 62);
  EXPECT_FALSE(config->is_moe_layer(2));
  EXPECT_TRUE(config->is_moe_layer(3));
  EXPECT_TRUE(config->is_moe_layer(61));
  EXPECT_TRUE(config->is_mtp_layer(61));
  EXPECT_FALSE(config->is_mtp_layer(60));
  EXPECT_EQ(config->weights, WeightFormat::kF8Block128);
  EXPECT_FALSE(config->power_of_two_scales);
  EXPECT_EQ(config->attention.qk_head_dim(), 192);
  EXPECT_EQ(config->attention.latent_row_size(), 576);
  EXPECT_EQ(config->attention.latent_norm_eps, 1e-6);
  EXPECT_EQ(config->bos_token_id, 0);
  EXPECT_THAT(config->eos_token_ids, ElementsAre(1));
  EXPECT_EQ(PageBytes(*config, DType::kBF16), 64 * 71424);
}

// Spec 3.4.
TEST(ModelConfig, SoftmaxScaleFollowsYarn) {
  EXPECT_NEAR(SoftmaxScale(*ParseModelConfig(kV3Config)), 0.1352337788608801, 1e-15);
  EXPECT_NEAR(SoftmaxScale(*ParseModelConfig(kKimiK2Config)), 0.1308607999629500, 1e-15);
  EXPECT_NEAR(SoftmaxScale(*ParseModelConfig(kMoonlightConfig)), 0.07216878364870323, 1e-15);
}

TEST(ModelConfig, RopeAttentionFactorIsTheRatio) {
  EXPECT_DOUBLE_EQ(RopeAttentionFactor(ParseModelConfig(kV3Config)->rope), 1);
  EXPECT_DOUBLE_EQ(RopeAttentionFactor(ParseModelConfig(kMoonlightConfig)->rope), 1);
  const auto without_all_dim = ParseModelConfig(With(kV3Config, "\"mscale_all_dim\": 1.0, ", ""));
  EXPECT_NEAR(RopeAttentionFactor(without_all_dim->rope), 1.3688879454113936, 1e-15);
}

TEST(ModelConfig, ReadsV31) {
  const auto config =
      ParseModelConfig(With(kV3Config, "\"fmt\": \"e4m3\"", "\"fmt\": \"e4m3\", \"scale_fmt\": \"ue8m0\""));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(config->power_of_two_scales);
}

TEST(ModelConfig, ReadsMoonlight) {
  const auto config = ParseModelConfig(kMoonlightConfig);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->attention.q_lora_rank, 0);
  EXPECT_EQ(config->weights, WeightFormat::kBF16);
  EXPECT_FALSE(config->rope.yarn.has_value());
  EXPECT_EQ(config->shared_intermediate_size(), 2816);
  EXPECT_EQ(config->layers_total(), 27);
}

TEST(ModelConfig, ReadsKimiK2) {
  const auto config = ParseModelConfig(kKimiK2Config);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->gate.n_routed_experts, 384);
  EXPECT_EQ(config->rope.yarn->beta_fast, 1);
}

// transformers v5 moves the base and the scaling into rope_parameters.
TEST(ModelConfig, ReadsRopeParameters) {
  std::string json = With(kV3Config, "\"rope_theta\": 10000,", "");
  json = With(json, "\"rope_scaling\": {", "\"rope_parameters\": {\"rope_theta\": 20000, ");
  json = With(json, "\"type\": \"yarn\"", "\"rope_type\": \"yarn\"");
  const auto config = ParseModelConfig(json);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->rope.theta, 20000);
  EXPECT_EQ(config->rope.yarn->factor, 40);
}

TEST(ModelConfig, RefusesNeighboursByName) {
  ExpectRefusedChange("\"deepseek_v3\"", "\"deepseek_v2\"", "DeepSeek-V2");
  ExpectRefusedChange("\"deepseek_v3\"", "\"deepseek_v32\"", "DeepSeek-V3.2");
  ExpectRefusedChange("\"deepseek_v3\"", "\"deepseek_v4\"", "DeepSeek-V4");
  ExpectRefusedChange("\"deepseek_v3\"", "\"kimi_k25\"", "Kimi-K2.5");
  ExpectRefusedChange("\"deepseek_v3\"", "\"llama\"", "llama");
  ExpectRefusedChange("\"ep_size\": 1", "\"index_topk\": 2048", "index_topk");
  ExpectRefusedChange("DeepseekV3ForCausalLM", "DeepseekV32ForCausalLM", "architectures");
  ExpectRefusedChange("\"fp8\"", "\"compressed-tensors\"", "quant_method");
  ExpectRefusedChange("\"sigmoid\"", "\"softmax\"", "scoring_func");
  ExpectRefusedChange("\"noaux_tc\"", "\"greedy\"", "topk_method");
  ExpectRefusedChange("\"attention_bias\": false", "\"attention_bias\": true", "attention_bias");
  ExpectRefusedChange("\"bfloat16\"", "\"float16\"", "torch_dtype");
  ExpectRefusedChange("[128, 128]", "[64, 128]", "weight_block_size");
  ExpectRefusedChange("\"type\": \"yarn\"", "\"type\": \"linear\"", "rope_scaling");
}

TEST(ModelConfig, B37_NumbersOutOfRangeAreRefused) {
  for (const char* layers : {"0", "1000000000", "-1", "61.0", "1e1", "\"61\"", "99999999999999999999", "null"}) {
    ExpectRefusedChange("\"num_hidden_layers\": 61", std::string("\"num_hidden_layers\": ") + layers,
                        "num_hidden_layers");
  }
  for (const char* field : {"hidden_size", "intermediate_size", "moe_intermediate_size", "num_attention_heads",
                            "kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim",
                            "vocab_size", "n_routed_experts", "num_experts_per_tok", "max_position_embeddings",
                            "n_shared_experts", "moe_layer_freq", "first_k_dense_replace", "rms_norm_eps"}) {
    const std::string key = std::string("\"") + field + "\": ";
    ExpectRefusedChange(key, key + "-1, \"unused\": ", field);
    ExpectRefusedChange(key, key + "1000000000000, \"unused\": ", field);
    ExpectRefusedChange(key, key + "[], \"unused\": ", field);
    if (field != std::string("moe_layer_freq")) ExpectRefusedChange(key, std::string("\"not_") + field + "\": ", field);
  }
}

TEST(ModelConfig, B37_MissingFieldsWithADefaultAreNotRefused) {
  EXPECT_TRUE(ParseModelConfig(With(kV3Config, "\"moe_layer_freq\": 1, ", "")).ok());
  EXPECT_TRUE(ParseModelConfig(With(kV3Config, "\"num_nextn_predict_layers\": 1, ", "")).ok());
}

TEST(ModelConfig, B37_FieldsThatDoNotFitEachOtherAreRefused) {
  ExpectRefusedChange("\"n_group\": 8", "\"n_group\": 7", "n_group");
  ExpectRefusedChange("\"n_group\": 8", "\"n_group\": 256", "n_group");
  ExpectRefusedChange("\"topk_group\": 4", "\"topk_group\": 9", "topk_group");
  ExpectRefusedChange("\"n_routed_experts\": 256", "\"n_routed_experts\": 8", "n_group");
  ExpectRefusedChange("\"n_routed_experts\": 256", "\"n_routed_experts\": 8192", "n_routed_experts");
  ExpectRefused(With(With(kV3Config, "\"n_group\": 8", "\"n_group\": 64"), "\"topk_group\": 4", "\"topk_group\": 1"),
                "num_experts_per_tok");
  ExpectRefusedChange("\"first_k_dense_replace\": 3", "\"first_k_dense_replace\": 61", "first_k_dense_replace");
  ExpectRefusedChange("\"moe_layer_freq\": 1", "\"moe_layer_freq\": 100", "moe_layer_freq");
  ExpectRefusedChange("\"eos_token_id\": 1", "\"eos_token_id\": 129280", "eos_token_id");
  ExpectRefusedChange("\"eos_token_id\": 1", "\"eos_token_id\": [1, -1]", "eos_token_id");
  ExpectRefusedChange("\"hidden_size\": 7168", "\"hidden_size\": 7167", "hidden_size");
}

TEST(ModelConfig, B37_UnknownActivationIsRefused) { ExpectRefusedChange("\"silu\"", "\"gelu\"", "hidden_act"); }

// The V3 config names a class in auto_map and is accepted (ReadsV3): nothing reads the field, whatever it holds.
TEST(ModelConfig, B37_CodeReferencesAreIgnored) {
  EXPECT_TRUE(
      ParseModelConfig(With(kV3Config, "configuration_deepseek.DeepseekV3Config", "os.system--touch /tmp/executed"))
          .ok());
  EXPECT_TRUE(
      ParseModelConfig(With(kV3Config, "{\"AutoConfig\": \"configuration_deepseek.DeepseekV3Config\"}", "[1, 2]"))
          .ok());
}

TEST(ModelConfig, B37_HostileJsonIsRefused) {
  ExpectRefused("", "expected a value");
  ExpectRefused("[]", "one JSON object");
  ExpectRefused(kV3Config.substr(0, kV3Config.size() / 2), "expected");
  ExpectRefused(kV3Config + "x", "nothing more");
  ExpectRefused(std::string(100000, '['), "no deeper nesting");
  ExpectRefused("{\"a\":" + std::string(100000, '{'), "expected");
  ExpectRefused(std::string(2 << 20, ' ') + kV3Config, "exceeds the limit");
  ExpectRefusedChange("\"use_cache\": true", "\"hidden_size\": 64", "twice");
  ExpectRefusedChange("\"use_cache\": true", "\"use_cache\": \"\xff\"", "UTF-8");
  ExpectRefusedChange("\"rms_norm_eps\": 1e-06", "\"rms_norm_eps\": NaN", "expected a value");
  ExpectRefusedChange("\"rms_norm_eps\": 1e-06", "\"rms_norm_eps\": 1e-", "one JSON object");
}

TEST(GenerationConfig, ReadsAndChecks) {
  const auto generation =
      ParseGenerationConfig(R"({"temperature": 0.6, "top_p": 0.95, "eos_token_id": [1, 7], "do_sample": true})");
  ASSERT_TRUE(generation.ok()) << generation.status();
  EXPECT_EQ(generation->temperature, 0.6);
  EXPECT_EQ(generation->top_p, 0.95);
  EXPECT_THAT(generation->eos_token_ids, ElementsAre(1, 7));
  EXPECT_FALSE(ParseGenerationConfig(R"({"temperature": -1})").ok());
  EXPECT_FALSE(ParseGenerationConfig(R"({"top_p": 1.5})").ok());
  EXPECT_FALSE(ParseGenerationConfig(R"({"eos_token_id": "1"})").ok());
  EXPECT_EQ(ParseGenerationConfig("{}")->top_p, 1);
}

}  // namespace
}  // namespace atoll::model
