#pragma once

// Advances a step through the model: (micro-batch, layer, stage) by (micro-batch, layer, stage). Stages never block; when
// no micro-batch can go on, the runner waits in one place, ExpertExchange::Wait. Per layer: attention, then the dense MLP
// or: gate -> dispatch -> shared expert meanwhile -> combine once all results are there. Owned by the step thread.
//
// Failure is data: a row whose expert rows are missing or not finite ends its sequence (StepOutcome); it is computed on
// with harmless values and everything else in the step goes on.

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "attention_node/routing/expert_counts.h"
#include "attention_node/expert_exchange.h"
#include "attention_node/layers/attention_shard.h"
#include "attention_node/layers/stages.h"
#include "attention_node/layers/workspace.h"
#include "attention_node/step.h"
#include "attention_node/trace/step_trace.h"
#include "base/clock.h"
#include "base/status.h"

namespace atoll::attention_node {

// Receives the logits of the rows with `sample`, in blocks, in row order. `rows` are indexes into the plan.
class LogitsReader {
 public:
  virtual ~LogitsReader() = default;
  virtual void OnLogits(std::span<const int32_t> rows, ConstMatrixView logits) = 0;
};

// For tests only: what the model computes on its way. Rows are a micro-batch's.
class StepObserver {
 public:
  virtual ~StepObserver() = default;
  // The residual stream after `layers_done` layers (0: the embedding).
  virtual void OnHidden(int32_t layers_done, const MicroBatch& batch, ConstMatrixView residual) = 0;
  virtual void OnGate(int32_t layer, const MicroBatch& batch, std::span<const int32_t> experts, std::span<const float> weights) = 0;
  virtual void OnFinalNorm(std::span<const int32_t> rows, ConstMatrixView normed) = 0;
};

struct StepOutcome {
  std::vector<absl::Status> sequences;  // by StepPlan::sequences; the first failure of each
  StageTimes times;
};

struct StepRunnerParts {
  const AttentionShard* shard = nullptr;
  kernels::Context kernels;
  ExpertExchange* exchange = nullptr;
  ExpertCounts* counts = nullptr;
  const Clock* clock = nullptr;
  BiasedGate* bias = nullptr;  // may be null
};

class StepRunner {
 public:
  StepRunner(const StepRunnerParts& parts, const StepLimits& limits);

  // `trace` may be null; else it gets the step's times.
  void Run(const StepPlan& plan, LogitsReader& reader, StepOutcome& outcome, StepTrace* trace = nullptr);
  void set_observer(StepObserver* observer) { observer_ = observer; }
  // Thread-safe: layers that micro-batches have gone through, which grows as long as a step gets on.
  uint64_t layers_run() const { return layers_run_.load(std::memory_order_relaxed); }

 private:
  // Where a micro-batch stands: before the attention of `layer`, or (awaiting) before its combine.
  struct Progress {
    int32_t layer = 0;
    bool awaiting = false;
    int32_t traced = -1;  // its present layer's place in the trace
  };

  bool Advance(int32_t micro_batch);
  bool MayStart(int32_t micro_batch) const;
  void RunLayerUpToDispatch(int32_t micro_batch);
  void FinishLayer(int32_t micro_batch);
  void RunAttentionOf(const MicroBatch& batch, int32_t layer);
  void RunShared(int32_t micro_batch);
  void PostRows(int32_t micro_batch);
  void TakeRows(int32_t micro_batch);
  void FailRow(int32_t row, const absl::Status& status);
  void FailNonFinite(const MicroBatch& batch, const char* what, int32_t layer);
  void CountExperts(const MicroBatch& batch, int32_t layer);
  void RunHeadBlocks(LogitsReader& reader);
  void EndLayer(int32_t micro_batch);
  void BeginTrace();
  void TraceLayer(int32_t micro_batch);
  void Mark(int32_t micro_batch, int64_t LayerTrace::* time);

  const StepRunnerParts parts_;
  Workspace work_;
  const StageContext context_;
  StepObserver* observer_ = nullptr;
  const StepPlan* plan_ = nullptr;  // of the step that runs
  StepOutcome* outcome_ = nullptr;
  StepTrace* trace_ = nullptr;  // null: the step is not recorded
  std::atomic<uint64_t> layers_run_{0};
  std::vector<Progress> progress_;
  std::vector<int32_t> head_rows_;
};

}  // namespace atoll::attention_node
