// config.json and generation_config.json to checked structs.

#include <nlohmann/json.hpp>

#include "model/config.h"
#include "model/files/config_fields.h"
#include "model/files/json_reader.h"
#include "model/files/refusal.h"

namespace atoll::model {
namespace {

constexpr size_t kConfigBytesMax = 1 << 20;
constexpr int kConfigDepthMax = 16;
// Sums and products of the bounds below stay under 2^53. Released models are at most a quarter of each.
constexpr int64_t kRoutedExpertsTotalMax = 65536;

absl::Status Refuse(std::string_view what) { return Refusal("config.json: ", std::string(what)); }

absl::StatusOr<Json> ParseObject(std::string_view text) {
  ATOLL_RETURN_IF_ERROR(CheckJsonText(text, kConfigBytesMax, kConfigDepthMax));
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object()) return absl::InvalidArgumentError("must be one JSON object");
  return json;
}

// Relatives that somebody may well try, with the reason in one clause.
absl::Status RefuseNeighbours(ConfigFields& fields) {
  struct Neighbour {
    std::string_view type, name, reason;
  };
  static constexpr Neighbour kNeighbours[] = {
      {"deepseek", "DeepSeek-MoE", "it has no latent attention"},
      {"deepseek_v2", "DeepSeek-V2", "its gate is a softmax without correction bias"},
      {"deepseek_v32", "DeepSeek-V3.2", "it attends through a sparse indexer"},
      {"deepseek_v4", "DeepSeek-V4", "its attention and experts differ"},
      {"kimi_k25", "Kimi-K2.5", "its experts are INT4 compressed-tensors"},
  };
  const std::string type = fields.Text("model_type", "");
  for (const Neighbour& neighbour : kNeighbours) {
    if (type == neighbour.type) {
      return Refusal(std::string(neighbour.name), " (model_type ", type,
                     ") is not supported: ", std::string(neighbour.reason));
    }
  }
  if (fields.Has("index_topk")) {
    return absl::InvalidArgumentError(
        "a model with index_topk (DeepSeek-V3.2) is not supported: it attends through a sparse indexer");
  }
  if (type != "deepseek_v3" && type != "kimi_k2") {
    return Refusal("model_type must be deepseek_v3 or kimi_k2, found \"", type, "\"");
  }
  return absl::OkStatus();
}

absl::Status CheckArchitecture(ConfigFields& fields) {
  const Json* architectures = fields.Find("architectures");
  if (architectures == nullptr) return absl::OkStatus();
  const Json only = Json::array({"DeepseekV3ForCausalLM"});
  if (*architectures != only && *architectures != Json::array({"KimiK2ForCausalLM"})) {
    fields.Wrong("architectures", only.dump(), architectures);
  }
  return absl::OkStatus();
}

// What the published code can switch to and this program does not compute.
void CheckFixedChoices(ConfigFields& fields) {
  fields.RequireText("hidden_act", "silu", "no other activation is implemented");
  fields.RequireText("scoring_func", "sigmoid", "softmax gates belong to DeepSeek-V2");
  fields.RequireText("topk_method", "noaux_tc", "other methods belong to DeepSeek-V2");
  if (fields.Bool("attention_bias", false))
    fields.Wrong("attention_bias", "false (biases are not implemented)", fields.Find("attention_bias"));
  const char* dtype = fields.Has("torch_dtype") ? "torch_dtype" : "dtype";
  fields.RequireText(dtype, "bfloat16", "float16 overflows on these models");
}

MlaConfig ReadAttention(ConfigFields& fields) {
  if (!fields.Has("q_lora_rank")) fields.Wrong("q_lora_rank", "a whole number, or null for a plain q_proj", nullptr);
  return {.num_attention_heads = fields.Int("num_attention_heads", {1, 1024}),
          .q_lora_rank = fields.Even("q_lora_rank", {0, 16384}, 0),
          .kv_lora_rank = fields.Even("kv_lora_rank", {2, 4096}),
          .qk_nope_head_dim = fields.Even("qk_nope_head_dim", {2, 1024}),
          .qk_rope_head_dim = fields.Even("qk_rope_head_dim", {2, 512}),
          .v_head_dim = fields.Even("v_head_dim", {2, 1024})};
}

GateConfig ReadGate(ConfigFields& fields) {
  GateConfig gate{.n_routed_experts = fields.Int("n_routed_experts", {1, 8192}),
                  .num_experts_per_tok = fields.Int("num_experts_per_tok", {1, 64}),
                  .n_group = fields.Int("n_group", {1, 1024}, 1),
                  .topk_group = fields.Int("topk_group", {1, 1024}, 1),
                  .norm_topk_prob = fields.Bool("norm_topk_prob", true),
                  .routed_scaling_factor = fields.Double("routed_scaling_factor", 1e-3, 1e3, 1.0)};
  const int64_t group_size = gate.n_routed_experts / gate.n_group;
  if (gate.n_routed_experts % gate.n_group != 0 || (gate.n_group > 1 && group_size < 2)) {
    fields.Wrong(
        "n_group",
        absl::StrCat("a divisor of the ", gate.n_routed_experts, " routed experts with two or more in a group"),
        fields.Find("n_group"));
  }
  if (gate.topk_group > gate.n_group)
    fields.Wrong("topk_group", absl::StrCat("at most n_group (", gate.n_group, ")"), fields.Find("topk_group"));
  if (gate.num_experts_per_tok > gate.topk_group * group_size) {
    fields.Wrong("num_experts_per_tok",
                 absl::StrCat("at most the ", gate.topk_group * group_size, " experts of topk_group groups"),
                 fields.Find("num_experts_per_tok"));
  }
  return gate;
}

YarnConfig ReadYarn(ConfigFields& fields) {
  YarnConfig yarn{.factor = fields.Double("factor", 1, 1e4),
                  .original_max_position_embeddings = fields.Int("original_max_position_embeddings", {1, 1 << 22}),
                  .beta_fast = fields.Double("beta_fast", 1e-3, 1e6, 32.0),
                  .beta_slow = fields.Double("beta_slow", 1e-3, 1e6, 1.0),
                  .mscale = fields.Double("mscale", 0, 100, 0.0),
                  .mscale_all_dim = fields.Double("mscale_all_dim", 0, 100, 0.0),
                  .attention_factor = std::nullopt};
  if (fields.Find("attention_factor") != nullptr) yarn.attention_factor = fields.Double("attention_factor", 1e-3, 100);
  if (!fields.Bool("truncate", true)) fields.Wrong("truncate", "true", fields.Find("truncate"));
  return yarn;
}

// The key is rope_scaling (type or rope_type), or rope_parameters with the base inside.
RopeConfig ReadRope(ConfigFields& fields, absl::Status& status) {
  RopeConfig rope{.theta = fields.Double("rope_theta", 2, 1e9, 10000.0),
                  .interleave = fields.Bool("rope_interleave", true),
                  .yarn = std::nullopt};
  const char* key = fields.Find("rope_parameters") != nullptr ? "rope_parameters" : "rope_scaling";
  const Json* scaling = fields.Find(key);
  if (scaling == nullptr) return rope;
  if (!scaling->is_object()) {
    fields.Wrong(key, "an object or null", scaling);
    return rope;
  }
  ConfigFields inner(*scaling, status);
  rope.theta = inner.Double("rope_theta", 2, 1e9, rope.theta);
  const std::string type = inner.Text(inner.Find("rope_type") != nullptr ? "rope_type" : "type", "default");
  if (type == "yarn") {
    rope.yarn = ReadYarn(inner);
  } else if (type != "default") {
    fields.Wrong(key, "of type yarn or default", scaling);
  }
  return rope;
}

void ReadQuantization(ConfigFields& fields, absl::Status& status, ModelConfig& config) {
  const Json* quantization = fields.Find("quantization_config");
  if (quantization == nullptr) return;
  if (!quantization->is_object()) return fields.Wrong("quantization_config", "an object or null", quantization);
  ConfigFields inner(*quantization, status);
  inner.RequireText("quant_method", "fp8", "INT4, INT8 and compressed-tensors exports are not supported");
  if (!inner.Has("quant_method")) inner.Wrong("quant_method", "\"fp8\"", nullptr);
  inner.RequireText("fmt", "e4m3", "the only fp8 format of these weights");
  inner.RequireText("activation_scheme", "dynamic", "static activation scales are not supported");
  if (quantization->value("weight_block_size", Json()) != Json::array({kScaleBlock, kScaleBlock})) {
    inner.Wrong("weight_block_size", "[128,128]", inner.Find("weight_block_size"));
  }
  const std::string scale_fmt = inner.Text("scale_fmt", "float");
  if (scale_fmt != "float" && scale_fmt != "ue8m0")
    inner.Wrong("scale_fmt", "\"ue8m0\" or absent", inner.Find("scale_fmt"));
  config.weights = WeightFormat::kF8Block128;
  config.power_of_two_scales = scale_fmt == "ue8m0";
}

void CheckLayers(ConfigFields& fields, const ModelConfig& config) {
  int64_t moe_layers = 0;
  for (int64_t layer = 0; layer < config.layers_total(); ++layer) moe_layers += config.is_moe_layer(layer);
  if (config.first_k_dense_replace >= config.num_hidden_layers) {
    fields.Wrong("first_k_dense_replace", absl::StrCat("below num_hidden_layers (", config.num_hidden_layers, ")"),
                 fields.Find("first_k_dense_replace"));
  }
  if (moe_layers == 0)
    fields.Wrong("moe_layer_freq", "such that some layer has experts", fields.Find("moe_layer_freq"));
  if (moe_layers * config.gate.n_routed_experts > kRoutedExpertsTotalMax) {
    fields.Wrong("n_routed_experts",
                 absl::StrCat("at most ", kRoutedExpertsTotalMax, " over all ", moe_layers, " MoE layers"),
                 fields.Find("n_routed_experts"));
  }
}

ModelConfig ReadConfig(ConfigFields& fields, absl::Status& status) {
  ModelConfig config{.model_type = fields.Text("model_type", ""),
                     .vocab_size = fields.Int("vocab_size", {2, 1 << 20}),
                     .hidden_size = fields.Even("hidden_size", {2, 65536}),
                     .intermediate_size = fields.Even("intermediate_size", {2, 1 << 18}),
                     .moe_intermediate_size = fields.Even("moe_intermediate_size", {2, 65536}),
                     .n_shared_experts = fields.Int("n_shared_experts", {1, 16}),
                     .num_hidden_layers = fields.Int("num_hidden_layers", {1, 512}),
                     .num_nextn_predict_layers = fields.Int("num_nextn_predict_layers", {0, 8}, 0),
                     .first_k_dense_replace = fields.Int("first_k_dense_replace", {0, 512}),
                     .moe_layer_freq = fields.Int("moe_layer_freq", {1, 512}, 1),
                     .max_position_embeddings = fields.Int("max_position_embeddings", {1, 1 << 22}),
                     .rms_norm_eps = fields.Double("rms_norm_eps", 1e-12, 1e-2),
                     .tie_word_embeddings = fields.Bool("tie_word_embeddings", false),
                     .bos_token_id = -1,
                     .eos_token_ids = {},
                     .attention = ReadAttention(fields),
                     .gate = ReadGate(fields),
                     .rope = ReadRope(fields, status)};
  config.bos_token_id = fields.Int("bos_token_id", {0, config.vocab_size - 1}, -1);
  config.eos_token_ids = fields.TokenIds("eos_token_id", config.vocab_size);
  ReadQuantization(fields, status, config);
  CheckLayers(fields, config);
  return config;
}

absl::StatusOr<ModelConfig> Parse(std::string_view text) {
  ATOLL_ASSIGN_OR_RETURN(const Json json, ParseObject(text));
  absl::Status status;
  ConfigFields fields(json, status);
  ATOLL_RETURN_IF_ERROR(RefuseNeighbours(fields));
  ATOLL_RETURN_IF_ERROR(CheckArchitecture(fields));
  CheckFixedChoices(fields);
  ATOLL_RETURN_IF_ERROR(status);
  ModelConfig config = ReadConfig(fields, status);
  ATOLL_RETURN_IF_ERROR(status);
  return config;
}

}  // namespace

absl::StatusOr<ModelConfig> ParseModelConfig(std::string_view json) {
  absl::StatusOr<ModelConfig> config = Parse(json);
  if (!config.ok()) return Refuse(std::string(config.status().message()));
  return config;
}

absl::StatusOr<GenerationConfig> ParseGenerationConfig(std::string_view json) {
  const auto name = [](const absl::Status& s) { return Refusal("generation_config.json: ", s.message()); };
  const absl::StatusOr<Json> object = ParseObject(json);
  if (!object.ok()) return name(object.status());
  absl::Status status;
  ConfigFields fields(*object, status);
  GenerationConfig generation{.temperature = fields.Double("temperature", 0, 100, 1.0),
                              .top_p = fields.Double("top_p", 1e-6, 1, 1.0),
                              .eos_token_ids = fields.TokenIds("eos_token_id", 1 << 20)};
  if (!status.ok()) return name(status);
  return generation;
}

}  // namespace atoll::model
