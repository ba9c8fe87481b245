#include <algorithm>
#include <vector>

#include "attention_node/layers/kernel_call.h"
#include "attention_node/layers/stages.h"
#include "kernels/linear/linear.h"
#include "kernels/mla/mla_decode.h"
#include "kernels/mla/mla_prefill.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/rope/rope.h"

namespace atoll::attention_node {
namespace {

using kernels::Linear;
using kernels::LinearTask;
using kernels::PackedMatrix;

struct RowRange {
  int64_t first = 0;
  int64_t count = 0;
};

class AttentionStage {
 public:
  AttentionStage(const StageContext& context, const StepPlan& plan, const MicroBatch& batch, int32_t layer)
      : context_(context), work_(context.work), config_(context.shard.config), mla_(config_.attention),
        weights_(context.shard.layers[layer].attention), layer_weights_(context.shard.layers[layer]), plan_(plan), layer_(layer),
        first_(batch.first_row), count_(batch.row_count), generated_(batch.generated_count),
        shape_(MlaShapeOf(config_, work_.activation_dtype)) {}

  void Run() {
    Project();
    RotateAndWriteKeys();
    const RowRange generated{first_, generated_}, prompt{first_ + generated_, count_ - generated_};
    RunForm(kernels::MlaFormOf(PositionClass::kGenerated), generated);
    RunForm(kernels::MlaFormOf(PositionClass::kPrompt), prompt);
    MustRun(Linear(context_.kernels, weights_.o, Rows(work_.attended), Rows(work_.residual), kernels::LinearMode::kAdd), "o_proj");
  }

 private:
  MatrixView Rows(const OwnedMatrix& matrix) const { return matrix.Rows(first_, count_); }

  void Project() {
    const float eps = static_cast<float>(config_.rms_norm_eps), latent_eps = static_cast<float>(mla_.latent_norm_eps);
    MustRun(kernels::RmsNorm(context_.kernels, Rows(work_.residual), layer_weights_.input_norm, eps, Rows(work_.normed)), "input norm");
    const MatrixView x = Rows(work_.normed);
    const bool low_rank = mla_.q_lora_rank > 0;
    const LinearTask first[] = {{weights_.kv_a, x, Rows(work_.kv_a)},
                                {low_rank ? weights_.q_a : weights_.q, x, Rows(low_rank ? work_.q_a : work_.q)}};
    MustRun(kernels::LinearBatch(context_.kernels, first), "q_a_proj and kv_a_proj");
    if (!low_rank) return;
    MustRun(kernels::RmsNorm(context_.kernels, Rows(work_.q_a), weights_.q_a_norm, latent_eps, Rows(work_.q_a_normed)), "q_a norm");
    MustRun(Linear(context_.kernels, weights_.q, Rows(work_.q_a_normed), Rows(work_.q)), "q_b_proj");
  }

  void RotateAndWriteKeys() {
    const std::span<const int32_t> positions = std::span(work_.positions).subspan(first_, count_);
    MustRun(kernels::RotateQueries(context_.kernels, context_.shard.rope,
                                   {.q = Rows(work_.q),
                                    .positions = positions,
                                    .heads = mla_.num_attention_heads,
                                    .nope_dim = mla_.qk_nope_head_dim,
                                    .q_nope = Rows(work_.q_nope),
                                    .q_rope = Rows(work_.q_rope)}),
            "rotary queries");
    for (int64_t row = first_; row < first_ + count_; ++row) {
      std::byte* const* pages = plan_.sequences[plan_.rows[row].sequence].pages.data();
      work_.key_rows[row] = kernels::KeyRow(shape_.pages, pages, layer_, work_.positions[row]);
      work_.mla_rows[row] = {pages, work_.positions[row], static_cast<int32_t>(row)};
    }
    MustRun(kernels::WriteKeys(context_.kernels, context_.shard.rope,
                               {.kv_a = Rows(work_.kv_a),
                                .positions = positions,
                                .latent_weight = weights_.kv_a_norm,
                                .latent_eps = static_cast<float>(mla_.latent_norm_eps),
                                .dtype = work_.activation_dtype,
                                .key_rows = std::span(work_.key_rows).subspan(first_, count_)}),
            "latent keys");
  }

  void RunForm(kernels::MlaForm form, const RowRange& range) {
    if (range.count == 0) return;
    if (form == kernels::MlaForm::kPrefill) RunPrefillForm(range);
    else RunDecodeForm(range);
  }

  void RunPrefillForm(const RowRange& range) {
    MustRun(kernels::MlaPrefill(context_.kernels, {.shape = shape_,
                                                   .layer = layer_,
                                                   .rows = std::span(work_.mla_rows).subspan(range.first, range.count),
                                                   .q_nope = work_.q_nope.view(),
                                                   .q_rope = work_.q_rope.view(),
                                                   .uk = weights_.uk,
                                                   .uv = weights_.uv,
                                                   .out = work_.attended.view(),
                                                   .rows_max = work_.residual.view().rows,
                                                   .scratch = work_.mla_scratch.span()}),
            "latent attention, naive form");
  }

  void RunDecodeForm(const RowRange& range) {
    RunHeads(weights_.absorb, work_.q_nope, work_.absorbed, range);
    MustRun(kernels::MlaDecode(context_.kernels, {.shape = shape_,
                                                  .layer = layer_,
                                                  .rows = std::span(work_.mla_rows).subspan(range.first, range.count),
                                                  .qa = work_.absorbed.view(),
                                                  .q_rope = work_.q_rope.view(),
                                                  .z = work_.latent.view(),
                                                  .scratch = work_.mla_scratch.span()}),
            "latent attention, absorbed form");
    RunHeads(weights_.uv, work_.latent, work_.attended, range);
  }

  // Head h of `to` = matrix h times head h of `from`, for the range's rows.
  void RunHeads(std::span<const PackedMatrix> matrices, const OwnedMatrix& from, const OwnedMatrix& to, const RowRange& range) {
    std::vector<LinearTask>& tasks = work_.head_tasks;
    tasks.clear();
    for (size_t head = 0; head < matrices.size(); ++head) {
      tasks.push_back({matrices[head], HeadColumns(from, range, head, matrices[head].inputs),
                       HeadColumns(to, range, head, matrices[head].outputs)});
    }
    MustRun(kernels::LinearBatch(context_.kernels, tasks), "kv_b_proj by head");
  }

  static MatrixView HeadColumns(const OwnedMatrix& matrix, const RowRange& range, size_t head, int64_t width) {
    MatrixView view = matrix.Rows(range.first, range.count);
    view.data = static_cast<std::byte*>(view.data) + static_cast<int64_t>(head) * width * DTypeBytes(view.dtype);
    view.cols = width;
    return view;
  }

  const StageContext& context_;
  Workspace& work_;
  const model::ModelConfig& config_;
  const model::MlaConfig& mla_;
  const MlaWeights& weights_;
  const LayerWeights& layer_weights_;
  const StepPlan& plan_;
  const int32_t layer_;
  const int64_t first_, count_, generated_;
  const kernels::MlaShape shape_;
};

}  // namespace

void RunAttention(const StageContext& context, const StepPlan& plan, const MicroBatch& batch, int32_t layer) {
  AttentionStage(context, plan, batch, layer).Run();
}

}  // namespace atoll::attention_node
