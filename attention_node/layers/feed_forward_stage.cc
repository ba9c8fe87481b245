#include <algorithm>

#include "attention_node/layers/kernel_call.h"
#include "attention_node/layers/stages.h"
#include "kernels/combine/combine.h"
#include "kernels/gate_topk/gate_topk.h"
#include "kernels/linear/linear.h"
#include "kernels/rms_norm/rms_norm.h"

namespace atoll::attention_node {
namespace {

MatrixView RowsOf(const OwnedMatrix& matrix, const MicroBatch& batch) { return matrix.Rows(batch.first_row, batch.row_count); }

void RunPostNorm(const StageContext& context, const MicroBatch& batch, int32_t layer) {
  const Workspace& work = context.work;
  MustRun(kernels::RmsNorm(context.kernels, RowsOf(work.residual, batch), context.shard.layers[layer].post_norm,
                           static_cast<float>(context.shard.config.rms_norm_eps), RowsOf(work.normed, batch)),
          "post-attention norm");
}

// mlp = W_down(silu(W_gate x) * (W_up x)), float32.
void RunMlp(const StageContext& context, const MicroBatch& batch, const MlpWeights& weights) {
  Workspace& work = context.work;
  const kernels::ExpertGroup group{weights.gate, weights.up, weights.down, 0, batch.row_count};
  MustRun(work.mlp_runner.Run(context.kernels, {&group, 1}, RowsOf(work.normed, batch), {}, RowsOf(work.mlp, batch)), "MLP");
}

// residual += sum over `slots` weighted expert rows, then mlp where `with_mlp`.
void Add(const StageContext& context, const MicroBatch& batch, int64_t slots, bool with_mlp) {
  Workspace& work = context.work;
  const int64_t first = batch.first_row * slots, count = batch.row_count * slots;
  MustRun(kernels::Combine(context.kernels,
                           {.slots = slots,
                            .expert_rows = std::span<const void* const>(work.expert_row_addresses).subspan(first, count),
                            .expert_dtype = work.activation_dtype,
                            .weights = std::span<const float>(work.expert_weights).subspan(first, count),
                            .shared = with_mlp ? ConstMatrixView(RowsOf(work.mlp, batch)) : ConstMatrixView(),
                            .residual = RowsOf(work.residual, batch),
                            .non_finite = std::span(work.non_finite).subspan(batch.first_row, batch.row_count)}),
          "combine");
}

}  // namespace

void RunDenseMlp(const StageContext& context, const MicroBatch& batch, int32_t layer) {
  RunPostNorm(context, batch, layer);
  RunMlp(context, batch, context.shard.layers[layer].mlp);
  Add(context, batch, 0, true);
}

void RunGate(const StageContext& context, const MicroBatch& batch, int32_t layer) {
  Workspace& work = context.work;
  const GateWeights& weights = *context.shard.layers[layer].gate;
  const model::GateConfig& gate = context.shard.config.gate;
  const int64_t k = gate.num_experts_per_tok, first = batch.first_row * k, count = batch.row_count * k;
  RunPostNorm(context, batch, layer);
  MustRun(kernels::Linear(context.kernels, weights.gate, RowsOf(work.normed, batch), RowsOf(work.gate_logits, batch)), "gate");
  const kernels::GateTopKArgs args{.logits = RowsOf(work.gate_logits, batch),
                                   .bias = weights.bias,
                                   .params = {.groups = gate.n_group,
                                              .groups_kept = gate.topk_group,
                                              .experts_per_token = k,
                                              .normalize = gate.norm_topk_prob,
                                              .scaling = static_cast<float>(gate.routed_scaling_factor)},
                                   .experts = std::span(work.experts).subspan(first, count),
                                   .weights = std::span(work.expert_weights).subspan(first, count),
                                   .non_finite = std::span(work.non_finite).subspan(batch.first_row, batch.row_count)};
  const bool with_bias = context.bias != nullptr && context.bias->on();
  MustRun(with_bias ? context.bias->Choose(context.kernels, layer, args) : kernels::GateTopK(context.kernels, args), "choice of experts");
}

void RunSharedExpert(const StageContext& context, const MicroBatch& batch, int32_t layer) {
  if (context.shard.config.n_shared_experts > 0) RunMlp(context, batch, context.shard.layers[layer].mlp);
}

void RunCombine(const StageContext& context, const MicroBatch& batch, int32_t) {
  const model::ModelConfig& config = context.shard.config;
  Add(context, batch, config.gate.num_experts_per_tok, config.n_shared_experts > 0);
}

}  // namespace atoll::attention_node
