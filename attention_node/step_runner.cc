#include "attention_node/step_runner.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/compute_pool.h"

namespace atoll::attention_node {
namespace {

constexpr std::chrono::milliseconds kWaitForExperts{20};

// Adds the time of its life to a sum.
class Stopwatch {
 public:
  Stopwatch(const Clock& clock, int64_t& sum_ns) : clock_(clock), sum_ns_(sum_ns), begin_ns_(clock.NowNs()) {}
  ~Stopwatch() { sum_ns_ += clock_.NowNs() - begin_ns_; }

 private:
  const Clock& clock_;
  int64_t& sum_ns_;
  const int64_t begin_ns_;
};

// Workers spin between ops while it lives; they are parked before anything is posted or awaited.
class ComputeStage {
 public:
  explicit ComputeStage(const kernels::Context& context) : pool_(context.pool) {
    if (pool_ != nullptr) pool_->BeginStage();
  }
  ~ComputeStage() {
    if (pool_ != nullptr) pool_->EndStage();
  }

 private:
  kernels::ComputePool* pool_;
};

}  // namespace

StepRunner::StepRunner(const StepRunnerParts& parts, const StepLimits& limits)
    : parts_(parts), work_(parts.shard->config, limits), context_{*parts.shard, parts.kernels, work_, parts.bias} {
  progress_.reserve(kMicroBatchesMax);
  head_rows_.reserve(limits.rows_max);
}

void StepRunner::Run(const StepPlan& plan, LogitsReader& reader, StepOutcome& outcome, StepTrace* trace) {
  plan_ = &plan;
  outcome_ = &outcome;
  trace_ = trace;
  if (trace_ != nullptr) BeginTrace();
  outcome.sequences.assign(plan.sequences.size(), absl::OkStatus());
  outcome.times = {};
  outcome.times.steps = 1;
  progress_.assign(plan.micro_batches.size(), Progress{});
  {
    Stopwatch watch(*parts_.clock, outcome.times.attention_ns);
    RunEmbedding(context_, plan);
  }
  if (trace_ != nullptr) trace_->embedded_ns = parts_.clock->NowNs();
  for (size_t i = 0; i < progress_.size(); ++i) EndLayer(static_cast<int32_t>(i));

  const int32_t layers = static_cast<int32_t>(parts_.shard->layers.size());
  const auto ended = [&](const Progress& progress) { return progress.layer == layers; };
  while (!std::all_of(progress_.begin(), progress_.end(), ended)) {
    bool moved = false;
    for (size_t i = 0; i < progress_.size(); ++i) moved |= Advance(static_cast<int32_t>(i));
    if (moved) continue;
    Stopwatch watch(*parts_.clock, outcome.times.experts_ns);
    parts_.exchange->Wait(kWaitForExperts);
  }
  RunHeadBlocks(reader);
}

bool StepRunner::Advance(int32_t micro_batch) {
  Progress& progress = progress_[micro_batch];
  if (progress.awaiting) {
    if (!parts_.exchange->Done(micro_batch)) return false;
    FinishLayer(micro_batch);
    return true;
  }
  if (progress.layer == static_cast<int32_t>(parts_.shard->layers.size()) || !MayStart(micro_batch)) return false;
  RunLayerUpToDispatch(micro_batch);
  return true;
}

// Keys of the micro-batch before this one must be in the pages: a sequence may straddle the two.
bool StepRunner::MayStart(int32_t micro_batch) const {
  if (micro_batch == 0) return true;
  const Progress& before = progress_[micro_batch - 1];
  const int32_t layer = progress_[micro_batch].layer;
  return before.layer > layer || (before.layer == layer && before.awaiting);
}

void StepRunner::RunLayerUpToDispatch(int32_t micro_batch) {
  const MicroBatch& batch = plan_->micro_batches[micro_batch];
  Progress& progress = progress_[micro_batch];
  const bool dense = !parts_.shard->layers[progress.layer].gate;
  if (trace_ != nullptr) TraceLayer(micro_batch);
  {
    ComputeStage stage(parts_.kernels);
    RunAttentionOf(batch, progress.layer);
    Mark(micro_batch, &LayerTrace::attention_end_ns);
    if (!dense && plan_->shared_expert_first) RunShared(micro_batch);
  }
  if (dense) {
    ++progress.layer;
    return EndLayer(micro_batch);
  }
  FailNonFinite(batch, "gate logit", progress.layer);
  PostRows(micro_batch);
  if (plan_->shared_expert_first) return;
  ComputeStage stage(parts_.kernels);
  RunShared(micro_batch);
}

// With the gate or the dense MLP after it.
void StepRunner::RunAttentionOf(const MicroBatch& batch, int32_t layer) {
  Stopwatch watch(*parts_.clock, outcome_->times.attention_ns);
  RunAttention(context_, *plan_, batch, layer);
  if (parts_.shard->layers[layer].gate) RunGate(context_, batch, layer);
  else RunDenseMlp(context_, batch, layer);
}

void StepRunner::RunShared(int32_t micro_batch) {
  Mark(micro_batch, &LayerTrace::shared_begin_ns);
  {
    Stopwatch watch(*parts_.clock, outcome_->times.experts_ns);
    RunSharedExpert(context_, plan_->micro_batches[micro_batch], progress_[micro_batch].layer);
  }
  Mark(micro_batch, &LayerTrace::shared_end_ns);
}

void StepRunner::PostRows(int32_t micro_batch) {
  Stopwatch watch(*parts_.clock, outcome_->times.dispatch_ns);
  const MicroBatch& batch = plan_->micro_batches[micro_batch];
  const int32_t layer = progress_[micro_batch].layer;
  const int64_t k = parts_.shard->config.gate.num_experts_per_tok;
  const std::span<const int32_t> experts = std::span(work_.experts).subspan(batch.first_row * k, batch.row_count * k);
  if (observer_ != nullptr) {
    observer_->OnGate(layer, batch, experts, std::span(work_.expert_weights).subspan(batch.first_row * k, batch.row_count * k));
  }
  CountExperts(batch, layer);
  parts_.exchange->Post({.step = plan_->step,
                         .layer = layer,
                         .micro_batch = micro_batch,
                         .rows = work_.normed.Rows(batch.first_row, batch.row_count),
                         .experts = experts,
                         .experts_per_row = static_cast<int32_t>(k),
                         .results = work_.expert_rows.Rows(batch.first_row * k, batch.row_count * k),
                         .span = plan_->span,
                         .trace = trace_ == nullptr ? nullptr : &trace_->layers[progress_[micro_batch].traced].nodes});
  progress_[micro_batch].awaiting = true;
  Mark(micro_batch, &LayerTrace::posted_ns);
}

void StepRunner::CountExperts(const MicroBatch& batch, int32_t layer) {
  if (plan_->probe) return;
  const int64_t k = parts_.shard->config.gate.num_experts_per_tok;
  const std::span<const int32_t> experts = std::span(work_.experts).subspan(batch.first_row * k, batch.row_count * k);
  parts_.counts->Add(layer, PositionClass::kGenerated, experts.first(batch.generated_count * k));
  parts_.counts->Add(layer, PositionClass::kPrompt, experts.subspan(batch.generated_count * k));
}

void StepRunner::FinishLayer(int32_t micro_batch) {
  const MicroBatch& batch = plan_->micro_batches[micro_batch];
  Progress& progress = progress_[micro_batch];
  Mark(micro_batch, &LayerTrace::complete_ns);
  {
    Stopwatch watch(*parts_.clock, outcome_->times.combine_ns);
    TakeRows(micro_batch);
    RunCombine(context_, batch, progress.layer);
    FailNonFinite(batch, "expert row", progress.layer);
  }
  Mark(micro_batch, &LayerTrace::combined_ns);
  progress.awaiting = false;
  ++progress.layer;
  EndLayer(micro_batch);
}

// A failed row's slots become zeros, so that what is computed on is finite and combines without reading stale bytes.
void StepRunner::TakeRows(int32_t micro_batch) {
  const MicroBatch& batch = plan_->micro_batches[micro_batch];
  const int64_t k = parts_.shard->config.gate.num_experts_per_tok;
  for (const FailedRow& failed : parts_.exchange->Take(micro_batch)) {
    const int32_t row = batch.first_row + failed.row;
    FailRow(row, failed.status);
    const MatrixView slots = work_.expert_rows.Rows(row * k, k);
    std::memset(slots.data, 0, static_cast<size_t>(k * slots.stride * DTypeBytes(slots.dtype)));
  }
}

void StepRunner::FailRow(int32_t row, const absl::Status& status) {
  outcome_->sequences[plan_->rows[row].sequence].Update(status);
}

void StepRunner::FailNonFinite(const MicroBatch& batch, const char* what, int32_t layer) {
  for (int32_t row = batch.first_row; row < batch.first_row + batch.row_count; ++row) {
    if (work_.non_finite[row] == 0) continue;
    FailRow(row, absl::InternalError(absl::StrCat("layer ", layer, ": a non-finite ", what, " at position ", plan_->rows[row].position)));
    const MatrixView residual = work_.residual.Rows(row, 1);
    std::memset(residual.data, 0, static_cast<size_t>(residual.cols) * sizeof(float));
  }
}

void StepRunner::EndLayer(int32_t micro_batch) {
  layers_run_.fetch_add(1, std::memory_order_relaxed);
  if (observer_ == nullptr) return;
  const MicroBatch& batch = plan_->micro_batches[micro_batch];
  observer_->OnHidden(progress_[micro_batch].layer, batch, work_.residual.Rows(batch.first_row, batch.row_count));
}

// Room for all layers at once: what is filled later is pointed into.
void StepRunner::BeginTrace() {
  trace_->step = plan_->step;
  trace_->rows = static_cast<int32_t>(plan_->rows.size());
  trace_->micro_batches = static_cast<int32_t>(plan_->micro_batches.size());
  trace_->shared_expert_first = plan_->shared_expert_first;
  for (const MicroBatch& batch : plan_->micro_batches) trace_->prompt_rows += batch.row_count - batch.generated_count;
  trace_->layers.reserve(parts_.shard->layers.size() * plan_->micro_batches.size());
  trace_->begin_ns = parts_.clock->NowNs();
}

void StepRunner::TraceLayer(int32_t micro_batch) {
  progress_[micro_batch].traced = static_cast<int32_t>(trace_->layers.size());
  trace_->layers.push_back({.layer = progress_[micro_batch].layer,
                            .micro_batch = micro_batch,
                            .rows = plan_->micro_batches[micro_batch].row_count,
                            .begin_ns = parts_.clock->NowNs()});
}

void StepRunner::Mark(int32_t micro_batch, int64_t LayerTrace::* time) {
  if (trace_ != nullptr) trace_->layers[progress_[micro_batch].traced].*time = parts_.clock->NowNs();
}

void StepRunner::RunHeadBlocks(LogitsReader& reader) {
  if (trace_ != nullptr) trace_->head_begin_ns = parts_.clock->NowNs();
  head_rows_.clear();
  for (size_t row = 0; row < plan_->rows.size(); ++row) {
    if (plan_->rows[row].sample) head_rows_.push_back(static_cast<int32_t>(row));
  }
  for (size_t first = 0; first < head_rows_.size(); first += kHeadRows) {
    const std::span<const int32_t> rows = std::span(head_rows_).subspan(first, std::min<size_t>(kHeadRows, head_rows_.size() - first));
    {
      Stopwatch watch(*parts_.clock, outcome_->times.attention_ns);
      ComputeStage stage(parts_.kernels);
      RunHead(context_, rows);
    }
    const int64_t count = static_cast<int64_t>(rows.size());
    if (observer_ != nullptr) observer_->OnFinalNorm(rows, work_.sampled_normed.Rows(0, count));
    Stopwatch watch(*parts_.clock, outcome_->times.sampling_ns);
    reader.OnLogits(rows, work_.logits.Rows(0, count));
  }
  if (trace_ == nullptr) return;
  trace_->head_end_ns = parts_.clock->NowNs();
  trace_->sampling_ns = outcome_->times.sampling_ns;
}

}  // namespace atoll::attention_node
