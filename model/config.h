#pragma once

// config.json of a DeepSeek-V3 checkpoint (V3, R1, V3.1, Moonlight, Kimi-K2): every number checked, so that products of
// a few of them never overflow int64. Fields keep the names of config.json. Neighbours whose arithmetic differs (V2,
// V3.2, V4, INT4 exports) are refused by name. Plain values, thread-compatible.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/status.h"

namespace atoll::model {

constexpr int64_t kScaleBlock = 128;    // rows and columns that share one fp8 scale
constexpr int64_t kPagePositions = 64;  // positions of a page of latent cache

enum class WeightFormat { kBF16, kF8Block128 };
const char* WeightFormatName(WeightFormat format);

struct YarnConfig {
  double factor = 1;
  int64_t original_max_position_embeddings = 0;
  double beta_fast = 32;
  double beta_slow = 1;
  double mscale = 0;          // 0: absent
  double mscale_all_dim = 0;  // 0: absent
  std::optional<double> attention_factor;
};

struct RopeConfig {
  double theta = 10000;
  bool interleave = true;  // pairs (2i, 2i+1); false: (i, i + dim/2)
  std::optional<YarnConfig> yarn;
};

struct MlaConfig {
  int64_t num_attention_heads = 0;
  int64_t q_lora_rank = 0;  // 0: one q_proj instead of q_a, norm and q_b
  int64_t kv_lora_rank = 0;
  int64_t qk_nope_head_dim = 0;
  int64_t qk_rope_head_dim = 0;
  int64_t v_head_dim = 0;
  // Of q_a_layernorm and kv_a_layernorm. 1e-6 whatever rms_norm_eps says, as in the published model code; the two
  // differ for Moonlight only. A caller may set it to rms_norm_eps, as some engines do.
  double latent_norm_eps = 1e-6;

  int64_t qk_head_dim() const { return qk_nope_head_dim + qk_rope_head_dim; }
  // Elements of one position of one layer in a page: latent, then rotary key.
  int64_t latent_row_size() const { return kv_lora_rank + qk_rope_head_dim; }
};

// Sigmoid scores, bias-corrected choice inside the best topk_group of n_group groups ("noaux_tc").
struct GateConfig {
  int64_t n_routed_experts = 0;
  int64_t num_experts_per_tok = 0;
  int64_t n_group = 1;
  int64_t topk_group = 1;
  bool norm_topk_prob = true;
  double routed_scaling_factor = 1;
};

struct ModelConfig {
  std::string model_type;  // deepseek_v3 or kimi_k2
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t moe_intermediate_size = 0;
  int64_t n_shared_experts = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_nextn_predict_layers = 0;  // MTP layers; their ids follow the main layers'
  int64_t first_k_dense_replace = 0;
  int64_t moe_layer_freq = 1;
  int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-6;
  bool tie_word_embeddings = false;
  int64_t bos_token_id = -1;  // -1: none
  std::vector<int64_t> eos_token_ids;
  MlaConfig attention;
  GateConfig gate;
  RopeConfig rope;
  WeightFormat weights = WeightFormat::kBF16;
  bool power_of_two_scales = false;  // scale_fmt ue8m0

  int64_t layers_total() const { return num_hidden_layers + num_nextn_predict_layers; }
  bool is_mtp_layer(int64_t layer) const { return layer >= num_hidden_layers && layer < layers_total(); }
  bool is_moe_layer(int64_t layer) const { return layer >= first_k_dense_replace && layer % moe_layer_freq == 0; }
  int64_t shared_intermediate_size() const { return n_shared_experts * moe_intermediate_size; }
  DType matrix_dtype() const { return weights == WeightFormat::kBF16 ? DType::kBF16 : DType::kF8E4M3; }
};

// 1 / sqrt(qk_head_dim), times the square of YaRN's mscale_all_dim term where that is set (spec 3.4).
double SoftmaxScale(const ModelConfig& config);
// Multiplier of cos and sin: 1 for every released checkpoint.
double RopeAttentionFactor(const RopeConfig& rope);
// Latent cache of one page in bytes, main layers and MTP layers.
int64_t PageBytes(const ModelConfig& config, DType activation_dtype);

// InvalidArgument names the field, what it must be and what was found. Code references (auto_map) are ignored.
absl::StatusOr<ModelConfig> ParseModelConfig(std::string_view json);
// Reads dir/config.json.
absl::StatusOr<ModelConfig> LoadModelConfig(const std::string& dir);

// generation_config.json: defaults of sampling. eos_token_ids is empty where the file does not say.
struct GenerationConfig {
  double temperature = 1;
  double top_p = 1;
  std::vector<int64_t> eos_token_ids;
};
absl::StatusOr<GenerationConfig> ParseGenerationConfig(std::string_view json);
// The defaults where dir has no such file.
absl::StatusOr<GenerationConfig> LoadGenerationConfig(const std::string& dir);

}  // namespace atoll::model
