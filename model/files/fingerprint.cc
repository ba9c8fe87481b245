#include "model/files/fingerprint.h"

#include <bit>

namespace atoll::model {
namespace {

constexpr int64_t kTensorsAllSampled = 8192;

}  // namespace

bool Fingerprint::IsSampled(std::string_view tensor_name, int64_t tensors) {
  if (tensors <= kTensorsAllSampled) return true;
  Fingerprint hash;
  hash.AddText(tensor_name);
  return hash.value() % 16 == 0;
}

void Fingerprint::AddConfig(const ModelConfig& config) {
  const MlaConfig& mla = config.attention;
  const GateConfig& gate = config.gate;
  for (int64_t value : {config.vocab_size,
                        config.hidden_size,
                        config.intermediate_size,
                        config.moe_intermediate_size,
                        config.n_shared_experts,
                        config.num_hidden_layers,
                        config.num_nextn_predict_layers,
                        config.first_k_dense_replace,
                        config.moe_layer_freq,
                        config.max_position_embeddings,
                        int64_t{config.tie_word_embeddings},
                        static_cast<int64_t>(config.weights),
                        mla.num_attention_heads,
                        mla.q_lora_rank,
                        mla.kv_lora_rank,
                        mla.qk_nope_head_dim,
                        mla.qk_rope_head_dim,
                        mla.v_head_dim,
                        gate.n_routed_experts,
                        gate.num_experts_per_tok,
                        gate.n_group,
                        gate.topk_group,
                        int64_t{gate.norm_topk_prob},
                        int64_t{config.rope.interleave},
                        int64_t{config.rope.yarn.has_value()}}) {
    AddInt(value);
  }
  for (double value : {config.rms_norm_eps, mla.latent_norm_eps, gate.routed_scaling_factor, config.rope.theta})
    AddDouble(value);
  if (!config.rope.yarn) return;
  const YarnConfig& yarn = *config.rope.yarn;
  AddInt(yarn.original_max_position_embeddings);
  for (double value : {yarn.factor, yarn.beta_fast, yarn.beta_slow, yarn.mscale, yarn.mscale_all_dim,
                       yarn.attention_factor.value_or(0)})
    AddDouble(value);
}

void Fingerprint::AddTensor(const TensorSpec& spec, DType dtype) {
  AddText(spec.name);
  AddInt(static_cast<int64_t>(dtype));
  AddInt(spec.rows);
  AddInt(spec.cols);
}

void Fingerprint::AddBytes(std::span<const std::byte> bytes) {
  for (std::byte byte : bytes) value_ = (value_ ^ static_cast<uint64_t>(byte)) * 0x100000001b3u;
}

void Fingerprint::AddInt(int64_t value) {
  for (int i = 0; i < 8; ++i) {
    const auto byte = static_cast<std::byte>(static_cast<uint64_t>(value) >> (8 * i));
    AddBytes({&byte, 1});
  }
}

void Fingerprint::AddDouble(double value) { AddInt(std::bit_cast<int64_t>(value)); }

void Fingerprint::AddText(std::string_view text) {
  AddInt(static_cast<int64_t>(text.size()));
  AddBytes(std::as_bytes(std::span(text.data(), text.size())));
}

}  // namespace atoll::model
