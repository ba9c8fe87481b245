#include <algorithm>
#include <cstring>

#include "attention_node/layers/kernel_call.h"
#include "attention_node/layers/stages.h"
#include "kernels/embedding/embedding.h"
#include "kernels/linear/linear.h"
#include "kernels/rms_norm/rms_norm.h"

namespace atoll::attention_node {

void RunEmbedding(const StageContext& context, const StepPlan& plan) {
  Workspace& work = context.work;
  const size_t rows = plan.rows.size();
  for (size_t row = 0; row < rows; ++row) {
    work.tokens[row] = plan.rows[row].token;
    work.positions[row] = plan.rows[row].position;
  }
  MustRun(kernels::Embedding(context.kernels, context.shard.embedding.View(), std::span(work.tokens).first(rows),
                             work.residual.Rows(0, static_cast<int64_t>(rows))),
          "embedding");
}

void RunHead(const StageContext& context, std::span<const int32_t> rows) {
  Workspace& work = context.work;
  const int64_t count = static_cast<int64_t>(rows.size());
  const size_t row_bytes = static_cast<size_t>(work.residual.view().cols) * sizeof(float);
  for (int64_t i = 0; i < count; ++i) std::memcpy(work.sampled.view().Row(i), work.residual.view().Row(rows[i]), row_bytes);
  MustRun(kernels::RmsNorm(context.kernels, work.sampled.Rows(0, count), context.shard.final_norm,
                           static_cast<float>(context.shard.config.rms_norm_eps), work.sampled_normed.Rows(0, count)),
          "final norm");
  MustRun(kernels::Linear(context.kernels, context.shard.head, work.sampled_normed.Rows(0, count), work.logits.Rows(0, count)), "head");
}

}  // namespace atoll::attention_node
