#include "attention_node/layers/workspace.h"

#include <algorithm>

#include "kernels/mla/mla_decode.h"
#include "kernels/mla/mla_prefill.h"

namespace atoll::attention_node {
namespace {

size_t MlaScratchBytes(const model::ModelConfig& config, const StepLimits& limits) {
  const kernels::MlaShape shape = MlaShapeOf(config, limits.activation_dtype);
  return static_cast<size_t>(std::max(kernels::MlaDecodeScratchBytes(shape, limits.threads),
                                      kernels::MlaPrefillScratchBytes(shape, limits.rows_max, limits.threads)));
}

kernels::GroupedExpertsLimits MlpLimits(const model::ModelConfig& config, const StepLimits& limits) {
  return {.pairs_max = limits.rows_max,
          .intermediate_max = std::max(config.intermediate_size, config.shared_intermediate_size())};
}

}  // namespace

kernels::MlaShape MlaShapeOf(const model::ModelConfig& config, DType activation_dtype) {
  const model::MlaConfig& mla = config.attention;
  return {.heads = mla.num_attention_heads,
          .nope_dim = mla.qk_nope_head_dim,
          .value_dim = mla.v_head_dim,
          .pages = {.layers = config.layers_total(),
                    .latent_dim = mla.kv_lora_rank,
                    .rope_dim = mla.qk_rope_head_dim,
                    .dtype = activation_dtype},
          .scale = static_cast<float>(model::SoftmaxScale(config))};
}

Workspace::Workspace(const model::ModelConfig& config, const StepLimits& limits)
    : activation_dtype(limits.activation_dtype), mla_scratch(MlaScratchBytes(config, limits)), mlp_runner(MlpLimits(config, limits)) {
  const int64_t rows = limits.rows_max, hidden = config.hidden_size;
  const model::MlaConfig& mla = config.attention;
  const int64_t heads = mla.num_attention_heads, slots = rows * config.gate.num_experts_per_tok;
  const DType f32 = DType::kF32, act = activation_dtype;
  residual = OwnedMatrix(rows, hidden, f32);
  normed = OwnedMatrix(rows, hidden, act);
  q_a = OwnedMatrix(rows, mla.q_lora_rank, f32);
  q_a_normed = OwnedMatrix(rows, mla.q_lora_rank, act);
  q = OwnedMatrix(rows, heads * mla.qk_head_dim(), f32);
  kv_a = OwnedMatrix(rows, mla.latent_row_size(), f32);
  q_nope = OwnedMatrix(rows, heads * mla.qk_nope_head_dim, act);
  q_rope = OwnedMatrix(rows, heads * mla.qk_rope_head_dim, act);
  absorbed = OwnedMatrix(rows, heads * mla.kv_lora_rank, act);
  latent = OwnedMatrix(rows, heads * mla.kv_lora_rank, act);
  attended = OwnedMatrix(rows, heads * mla.v_head_dim, act);
  gate_logits = OwnedMatrix(rows, config.gate.n_routed_experts, f32);
  mlp = OwnedMatrix(rows, hidden, f32);
  expert_rows = OwnedMatrix(slots, hidden, act);
  const int64_t head_rows = std::min<int64_t>(kHeadRows, rows);
  sampled = OwnedMatrix(head_rows, hidden, f32);
  sampled_normed = OwnedMatrix(head_rows, hidden, act);
  logits = OwnedMatrix(head_rows, config.vocab_size, f32);

  tokens.resize(rows);
  positions.resize(rows);
  key_rows.resize(rows);
  mla_rows.resize(rows);
  experts.resize(slots);
  expert_weights.resize(slots);
  for (int64_t slot = 0; slot < slots; ++slot) expert_row_addresses.push_back(expert_rows.view().Row(slot));
  non_finite.resize(rows);
  head_tasks.reserve(heads);
}

}  // namespace atoll::attention_node
