#include "tests/attention_node/forward_pass.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace atoll::attention_node {
namespace {

class TraceWriter final : public StepObserver, public LogitsReader {
 public:
  TraceWriter(ForwardTrace& trace, int32_t layers) : trace_(trace), layers_(layers) {}
  void Follow(const StepPlan& plan) { plan_ = &plan; }

  void OnHidden(int32_t layers_done, const MicroBatch& batch, ConstMatrixView residual) override {
    if (layers_done == layers_) return;  // the reference's last one is after the final norm
    for (int64_t i = 0; i < residual.rows; ++i) {
      Put(trace_.hidden[layers_done], PositionOf(batch.first_row + i), residual, i);
    }
  }
  void OnGate(int32_t layer, const MicroBatch& batch, std::span<const int32_t> experts, std::span<const float> weights) override {
    const int64_t k = trace_.experts_per_token;
    for (int64_t i = 0; i < batch.row_count; ++i) {
      const int64_t position = PositionOf(batch.first_row + i);
      std::copy_n(experts.begin() + i * k, k, trace_.experts[layer].begin() + position * k);
      std::copy_n(weights.begin() + i * k, k, trace_.expert_weights[layer].begin() + position * k);
    }
  }
  void OnFinalNorm(std::span<const int32_t> rows, ConstMatrixView normed) override {
    for (size_t i = 0; i < rows.size(); ++i) Put(trace_.hidden[layers_], PositionOf(rows[i]), normed, static_cast<int64_t>(i));
  }
  void OnLogits(std::span<const int32_t> rows, ConstMatrixView logits) override {
    for (size_t i = 0; i < rows.size(); ++i) {
      const float* row = logits.RowAs<float>(static_cast<int64_t>(i));
      trace_.logits[PositionOf(rows[i])].assign(row, row + logits.cols);
    }
  }

 private:
  int64_t PositionOf(int64_t row) const { return plan_->rows[row].position; }
  void Put(std::vector<float>& to, int64_t position, ConstMatrixView from, int64_t row) const {
    for (int64_t i = 0; i < from.cols; ++i) {
      to[position * from.cols + i] = from.dtype == DType::kF32 ? from.RowAs<float>(row)[i] : ToFloat(from.RowAs<BFloat16>(row)[i]);
    }
  }

  ForwardTrace& trace_;
  const int32_t layers_;
  const StepPlan* plan_ = nullptr;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ForwardPass>> ForwardPass::Load(const std::string& checkpoint_dir, const ForwardOptions& options) {
  std::unique_ptr<ForwardPass> pass(new ForwardPass(options));
  ATOLL_ASSIGN_OR_RETURN(const std::unique_ptr<model::Checkpoint> checkpoint, model::Checkpoint::Open(checkpoint_dir));
  ATOLL_ASSIGN_OR_RETURN(pass->shard_, LoadAttentionShard(*checkpoint, options.kernels, {}));
  ATOLL_ASSIGN_OR_RETURN(pass->experts_, LocalExperts::Load(*checkpoint, options.kernels, options.rows_max));
  pass->counts_ = std::make_unique<ExpertCounts>(pass->shard_.config);
  pass->routing_bias_ = std::make_unique<BiasedGate>(pass->shard_.config, options.rows_max);
  pass->runner_ = std::make_unique<StepRunner>(
      StepRunnerParts{&pass->shard_, options.kernels, pass->experts_.get(), pass->counts_.get(), &pass->clock_, pass->routing_bias_.get()},
      StepLimits{options.rows_max, options.activation_dtype, kernels::Threads(options.kernels)});
  return pass;
}

ForwardTrace ForwardPass::Run(const ForwardRun& run) {
  const model::ModelConfig& config = shard_.config;
  const int32_t positions = static_cast<int32_t>(run.tokens.size());
  ForwardTrace trace{config.hidden_size, config.vocab_size, config.gate.num_experts_per_tok, {}, {}, {}, {}};
  trace.logits.resize(positions);
  trace.hidden.assign(config.num_hidden_layers + 1, std::vector<float>(positions * config.hidden_size));
  trace.experts.assign(config.num_hidden_layers, std::vector<int32_t>(positions * trace.experts_per_token));
  trace.expert_weights.assign(config.num_hidden_layers, std::vector<float>(positions * trace.experts_per_token));
  TraceWriter writer(trace, static_cast<int32_t>(config.num_hidden_layers));
  runner_->set_observer(&writer);

  SequenceRequest request;
  request.prompt_ids.assign(run.tokens.begin(), run.tokens.begin() + run.prompt_count);
  request.generated_ids.assign(run.tokens.begin() + run.prompt_count, run.tokens.end());
  Sequence sequence(std::move(request), 0);
  PagePool pool(PagesFor(positions));
  const size_t page_bytes = static_cast<size_t>(model::PageBytes(config, options_.activation_dtype));
  kernels::HugeBuffer memory(page_bytes * pool.page_count());
  sequence.TakePages(pool.page_count(), pool, memory.data(), page_bytes);
  StepPlan plan;
  StepOutcome outcome;
  for (uint64_t step = 1; sequence.computed() < positions; ++step) {
    const int32_t rows = std::min(run.chunk, positions - sequence.computed());
    BuildStep(std::vector<StepShare>{{&sequence, rows}}, std::min(rows, run.micro_batches), plan);
    plan.step = step;
    for (StepRow& row : plan.rows) row.sample = true;
    writer.Follow(plan);
    runner_->Run(plan, writer, outcome);
    ATOLL_CHECK(outcome.sequences[0].ok(), outcome.sequences[0].ToString());
    sequence.AddComputed(rows, static_cast<int64_t>(step));
  }
  runner_->set_observer(nullptr);
  return trace;
}

}  // namespace atoll::attention_node
