#include "tests/bench/step/roofline.h"

#include <algorithm>

namespace atoll::bench {
namespace {

class Sum {
 public:
  Sum(const Ceilings& ceilings, double flops) : ceilings_(ceilings), flops_(flops) {}

  void Op(double bytes, double operations) { seconds_ += std::max(bytes / ceilings_.read_bytes_per_s, operations / flops_); }
  // A matrix with `outputs` x `inputs` weights of `weight_bytes` each, over `rows`.
  void Linear(int64_t outputs, int64_t inputs, double weight_bytes, int64_t rows) {
    const double weights = static_cast<double>(outputs) * static_cast<double>(inputs);
    Op(weights * weight_bytes, 2 * weights * static_cast<double>(rows));
  }
  double seconds() const { return seconds_; }

 private:
  const Ceilings& ceilings_;
  const double flops_;
  double seconds_ = 0;
};

void AddAttention(const model::ModelConfig& config, const StepShape& shape, Sum& sum) {
  const model::MlaConfig& mla = config.attention;
  const int64_t heads = mla.num_attention_heads;
  const double bytes = static_cast<double>(DTypeBytes(config.matrix_dtype()));
  const int64_t q_inputs = mla.q_lora_rank > 0 ? mla.q_lora_rank : config.hidden_size;
  if (mla.q_lora_rank > 0) sum.Linear(mla.q_lora_rank, config.hidden_size, bytes, shape.rows);
  sum.Linear(heads * mla.qk_head_dim(), q_inputs, bytes, shape.rows);
  sum.Linear(mla.latent_row_size(), config.hidden_size, bytes, shape.rows);
  const int64_t expanded = shape.absorbed ? shape.rows : shape.rows + shape.keys;  // a prompt's keys are expanded once
  sum.Linear(heads * mla.qk_nope_head_dim, mla.kv_lora_rank, bytes, expanded);
  sum.Linear(heads * mla.v_head_dim, mla.kv_lora_rank, bytes, expanded);
  const double width = static_cast<double>(shape.absorbed ? mla.latent_row_size() + mla.kv_lora_rank : mla.qk_head_dim() + mla.v_head_dim);
  const double pairs = static_cast<double>(shape.rows) * static_cast<double>(shape.keys);
  sum.Op(pairs * 2 * static_cast<double>(mla.latent_row_size()) * (shape.absorbed ? 1 : 0), 2 * pairs * width * static_cast<double>(heads));
  sum.Linear(config.hidden_size, heads * mla.v_head_dim, bytes, shape.rows);
}

void AddMlp(const model::ModelConfig& config, int64_t width, double copies, int64_t rows, Sum& sum) {
  const double weights = 3.0 * static_cast<double>(config.hidden_size) * static_cast<double>(width);
  sum.Op(copies * weights * static_cast<double>(DTypeBytes(config.matrix_dtype())), 2 * weights * static_cast<double>(rows));
}

}  // namespace

double RooflineSeconds(const model::ModelConfig& config, const StepShape& shape, const Ceilings& ceilings, kernels::Isa isa) {
  Sum sum(ceilings, ceilings.FlopsOf(isa, true));
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    AddAttention(config, shape, sum);
    if (!config.is_moe_layer(layer)) {
      AddMlp(config, config.intermediate_size, 1, shape.rows, sum);
      continue;
    }
    sum.Linear(config.gate.n_routed_experts, config.hidden_size, 2, shape.rows);
    AddMlp(config, config.shared_intermediate_size(), 1, shape.rows, sum);
    AddMlp(config, config.moe_intermediate_size, static_cast<double>(shape.distinct_experts), shape.rows * config.gate.num_experts_per_tok, sum);
  }
  sum.Linear(config.vocab_size, config.hidden_size, 2, shape.sampled_rows);
  return sum.seconds();
}

}  // namespace atoll::bench
