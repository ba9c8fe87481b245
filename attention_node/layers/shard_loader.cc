#include <cmath>
#include <utility>

#include "attention_node/layers/attention_shard.h"

namespace atoll::attention_node {
namespace {

using kernels::PackedMatrix;

// Collects what has to be packed. Destinations point into the shard, whose vectors have their final size by then.
class PackList {
 public:
  PackList(const model::ModelConfig& config, AttentionShard& shard) : config_(config), shard_(shard) {}

  std::vector<node::PackItem> Items() {
    for (int64_t layer = 0; layer < config_.num_hidden_layers; ++layer) AddLayer(layer);
    Add(config_.tie_word_embeddings ? "model.embed_tokens" : "lm_head", shard_.head);
    return std::move(items_);
  }

 private:
  void Add(const std::string& name, PackedMatrix& destination) {
    items_.push_back({.tensor = absl::StrCat(name, ".weight"), .part = {}, .destination = &destination});
  }

  void AddLayer(int64_t layer) {
    LayerWeights& weights = shard_.layers[layer];
    const std::string prefix = absl::StrCat("model.layers.", layer);
    AddAttention(absl::StrCat(prefix, ".self_attn."), weights.attention);
    std::string mlp = absl::StrCat(prefix, ".mlp.");
    if (config_.is_moe_layer(layer)) {
      weights.gate.emplace();
      Add(absl::StrCat(mlp, "gate"), weights.gate->gate);
      absl::StrAppend(&mlp, "shared_experts.");
    }
    if (config_.is_moe_layer(layer) && config_.n_shared_experts == 0) return;
    Add(absl::StrCat(mlp, "gate_proj"), weights.mlp.gate);
    Add(absl::StrCat(mlp, "up_proj"), weights.mlp.up);
    Add(absl::StrCat(mlp, "down_proj"), weights.mlp.down);
  }

  void AddAttention(const std::string& prefix, MlaWeights& weights) {
    if (config_.attention.q_lora_rank > 0) {
      Add(absl::StrCat(prefix, "q_a_proj"), weights.q_a);
      Add(absl::StrCat(prefix, "q_b_proj"), weights.q);
    } else {
      Add(absl::StrCat(prefix, "q_proj"), weights.q);
    }
    Add(absl::StrCat(prefix, "kv_a_proj_with_mqa"), weights.kv_a);
    AddHeads(absl::StrCat(prefix, "kv_b_proj.weight"), weights);
    Add(absl::StrCat(prefix, "o_proj"), weights.o);
  }

  // kv_b row = head * (nope + value) + j; the first `nope` rows of a head are UK, the others UV.
  void AddHeads(const std::string& tensor, MlaWeights& weights) {
    const model::MlaConfig& mla = config_.attention;
    const int64_t heads = mla.num_attention_heads, nope = mla.qk_nope_head_dim, value = mla.v_head_dim;
    weights.absorb.resize(heads);
    weights.uk.resize(heads);
    weights.uv.resize(heads);
    for (int64_t head = 0; head < heads; ++head) {
      const int64_t first = head * (nope + value);
      const node::Rectangle keys{first, nope, 0, mla.kv_lora_rank};
      const node::Rectangle values{first + nope, value, 0, mla.kv_lora_rank};
      items_.push_back({.tensor = tensor, .part = keys, .transposed = true, .destination = &weights.absorb[head]});
      items_.push_back({.tensor = tensor, .part = keys, .destination = &weights.uk[head]});
      items_.push_back({.tensor = tensor, .part = values, .destination = &weights.uv[head]});
    }
  }

  const model::ModelConfig& config_;
  AttentionShard& shard_;
  std::vector<node::PackItem> items_;
};

absl::Status ReadLayerVectors(const model::Checkpoint& checkpoint, int64_t layer, LayerWeights& weights) {
  const std::string prefix = absl::StrCat("model.layers.", layer, ".");
  const auto read = [&](const char* name, std::vector<float>& out) -> absl::Status {
    ATOLL_ASSIGN_OR_RETURN(out, checkpoint.ReadVector(absl::StrCat(prefix, name)));
    return absl::OkStatus();
  };
  ATOLL_RETURN_IF_ERROR(read("input_layernorm.weight", weights.input_norm));
  ATOLL_RETURN_IF_ERROR(read("post_attention_layernorm.weight", weights.post_norm));
  ATOLL_RETURN_IF_ERROR(read("self_attn.kv_a_layernorm.weight", weights.attention.kv_a_norm));
  if (checkpoint.config().attention.q_lora_rank > 0) {
    ATOLL_RETURN_IF_ERROR(read("self_attn.q_a_layernorm.weight", weights.attention.q_a_norm));
  }
  if (weights.gate) ATOLL_RETURN_IF_ERROR(read("mlp.gate.e_score_correction_bias", weights.gate->bias));
  return absl::OkStatus();
}

absl::Status MakeRope(const model::ModelConfig& config, kernels::RopeTable& table) {
  kernels::RopeParams params{.theta = config.rope.theta,
                             .dim = config.attention.qk_rope_head_dim,
                             .positions_max = config.max_position_embeddings,
                             .interleaved = config.rope.interleave,
                             .yarn = config.rope.yarn.has_value(),
                             .yarn_params = {}};
  if (config.rope.yarn) {
    const model::YarnConfig& yarn = *config.rope.yarn;
    params.yarn_params = {.factor = yarn.factor,
                          .original_positions = static_cast<double>(yarn.original_max_position_embeddings),
                          .beta_fast = yarn.beta_fast,
                          .beta_slow = yarn.beta_slow,
                          .mscale = yarn.mscale,
                          .mscale_all_dim = yarn.mscale_all_dim};
  }
  const kernels::KernelError error = kernels::RopeTable::Make(params, &table);
  if (!error.ok()) return absl::InvalidArgumentError(absl::StrCat("config.json: rope: ", error.text));
  const double factor = model::RopeAttentionFactor(config.rope);
  if (std::abs(factor - static_cast<double>(table.magnitude())) <= 1e-6) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("config.json: rope_scaling: attention_factor ", factor,
                                                 " is not supported: mscale and mscale_all_dim give ", table.magnitude()));
}

}  // namespace

absl::StatusOr<AttentionShard> LoadAttentionShard(const model::Checkpoint& checkpoint, const kernels::Context& context,
                                                  const model::LoadProgressSink& progress) {
  AttentionShard shard;
  shard.config = checkpoint.config();
  shard.layers.resize(shard.config.num_hidden_layers);
  ATOLL_RETURN_IF_ERROR(MakeRope(shard.config, shard.rope));
  const std::vector<node::PackItem> items = PackList(shard.config, shard).Items();
  ATOLL_ASSIGN_OR_RETURN(shard.packed, node::PackedShard::Load(checkpoint, items, context, progress));
  ATOLL_ASSIGN_OR_RETURN(shard.embedding, checkpoint.ReadMatrix("model.embed_tokens.weight"));
  ATOLL_ASSIGN_OR_RETURN(shard.final_norm, checkpoint.ReadVector("model.norm.weight"));
  for (int64_t layer = 0; layer < shard.config.num_hidden_layers; ++layer) {
    ATOLL_RETURN_IF_ERROR(ReadLayerVectors(checkpoint, layer, shard.layers[layer]));
  }
  return shard;
}

}  // namespace atoll::attention_node
