#pragma once

// Where routed experts are: the step runner posts rows here and gets expert rows back. ExpertClient (expert_client.h)
// reaches expert nodes over links; tests compute the experts in the same process. Owned by the step thread, but for Wake.

#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

#include "attention_node/trace/step_trace.h"
#include "base/matrix_view.h"
#include "base/status.h"
#include "base/trace/trace_context.h"

namespace atoll::attention_node {

// The rows of one micro-batch for one MoE layer. All memory stays as it is until the outcome is taken, so sending again
// is possible at any time.
struct ExpertDispatch {
  uint64_t step = 0;
  int32_t layer = 0;
  int32_t micro_batch = 0;
  ConstMatrixView rows;                  // [rows, hidden], activation dtype
  std::span<const int32_t> experts;      // [rows, experts_per_row], in selection order
  int32_t experts_per_row = 0;
  MatrixView results;                    // [rows * experts_per_row, hidden]: where the row of (row, slot) goes
  trace::TraceContext span;              // of the step, for expert nodes' spans below it; empty: not traced
  std::vector<NodeTrace>* trace = nullptr;  // of a recorded step: what each expert node got, and when it answered
};

// A row that gets no whole result. Its sequence ends with `status`; its slots in `results` are unspecified.
struct FailedRow {
  int32_t row = 0;  // of the dispatch
  absl::Status status;
};

inline constexpr int32_t kMicroBatchesMax = 2;

class ExpertExchange {
 public:
  virtual ~ExpertExchange() = default;

  // At most one dispatch per micro-batch is open. Never blocks; what cannot be sent becomes failed rows.
  virtual void Post(const ExpertDispatch& dispatch) = 0;
  // Whether every row of the open dispatch has its results or has failed. Becomes true in bounded time.
  virtual bool Done(int32_t micro_batch) const = 0;
  // Closes the dispatch, which is done. The span is valid until the next Post for this micro-batch.
  virtual std::span<const FailedRow> Take(int32_t micro_batch) = 0;

  // Waits until something arrived, Wake was called or `timeout` passed: the one place where the step thread waits.
  virtual void Wait(std::chrono::nanoseconds timeout) = 0;
  // Thread-safe: makes the present or else the next Wait return.
  virtual void Wake() = 0;
};

}  // namespace atoll::attention_node
