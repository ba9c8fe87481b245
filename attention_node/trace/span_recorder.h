#pragma once

// Spans of sequences and steps. A step serves many requests: its span stands in the trace of the first sampled sequence that
// it has, and the spans of all sampled sequences in it link to it. Of a sampled sequence's steps the first kStepsTracedFirst
// and every kStepTracedEach-th after them are traced. Without a tracer all of it does nothing. Step thread.

#include <memory>
#include <span>

#include "attention_node/batching/sequence.h"
#include "attention_node/step.h"
#include "attention_node/trace/step_trace.h"
#include "base/clock.h"
#include "base/status.h"
#include "base/trace/tracer.h"

namespace atoll::attention_node {

inline constexpr int64_t kStepsTracedFirst = 8;
inline constexpr int64_t kStepTracedEach = 32;
inline constexpr size_t kLayerGroupsMax = 16;  // spans of a step's layers

class SpanRecorder {
 public:
  // Both outlive it; `tracer` may be null.
  SpanRecorder(trace::Tracer* tracer, const Clock& clock) : tracer_(tracer), clock_(clock) {}

  // For the sequence to keep; null unless its request is sampled.
  std::unique_ptr<SequenceTrace> OnArrival(const SequenceRequest& request, int64_t now_ns);
  // The span of a step with these shares; empty where it is not traced.
  trace::TraceContext BeginStep(std::span<const StepShare> shares);
  // The step that BeginStep gave `context`.
  void EndStep(const trace::TraceContext& context, const StepTrace& trace);
  void OnToken(Sequence& sequence);
  void OnEnd(Sequence& sequence, EndReason reason, const absl::Status& status);

 private:
  void RecordStage(const trace::TraceContext& step, std::string name, int64_t begin_ns, int64_t end_ns, trace::Attributes attributes);
  void RecordLayers(const trace::TraceContext& step, const StepTrace& trace);

  trace::Tracer* const tracer_;
  const Clock& clock_;
  trace::SpanId step_parent_{};
};

}  // namespace atoll::attention_node
