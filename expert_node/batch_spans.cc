#include "expert_node/batch_spans.h"

#include <algorithm>

namespace atoll::expert_node {
namespace {

// What one step had in the batch.
struct StepPart {
  trace::TraceContext step;
  int64_t pairs = 0;
  int64_t micro_batch = 0;
  int64_t arrived_ns = 0;  // its first part
};

std::vector<StepPart> TracedSteps(const ComputedBatch& computed) {
  std::vector<StepPart> steps;
  for (const int32_t index : computed.parts) {
    const DispatchPart& part = computed.store.At(index);
    const trace::TraceContext context = trace::FromBytes(part.header.trace);
    if (!context.sampled()) continue;
    auto found = std::find_if(steps.begin(), steps.end(), [&](const StepPart& step) {
      return step.step == context && step.micro_batch == part.header.micro_batch;
    });
    if (found == steps.end()) {
      found = steps.insert(steps.end(), {.step = context, .micro_batch = part.header.micro_batch, .arrived_ns = part.arrived_ns});
    }
    found->pairs += static_cast<int64_t>(part.pairs.size());
  }
  return steps;
}

}  // namespace

void RecordBatchSpans(trace::Tracer& tracer, const Clock& clock, const ComputedBatch& computed) {
  const std::vector<StepPart> steps = TracedSteps(computed);
  if (steps.empty()) return;
  const trace::UnixTime unix_ns(clock);
  const int64_t layer = computed.store.At(computed.parts[0]).header.layer;
  const int64_t end_unix_ns = unix_ns(clock.NowNs());
  for (const StepPart& step : steps) {
    tracer.Record({.context = tracer.NewSpan(step.step),
                   .parent = step.step.span_id,
                   .name = "experts",
                   .kind = trace::SpanKind::kServer,
                   .begin_unix_ns = unix_ns(computed.begin_ns),
                   .end_unix_ns = end_unix_ns,
                   .attributes = {{"atoll.layer", layer},
                                  {"atoll.micro_batch", step.micro_batch},
                                  {"atoll.pairs", step.pairs},
                                  {"atoll.batch_pairs", int64_t{computed.batch.pair_count()}},
                                  {"atoll.batch_experts", static_cast<int64_t>(computed.batch.ranges().size())},
                                  {"atoll.waited_us", (computed.begin_ns - step.arrived_ns) / 1000}}});
  }
}

}  // namespace atoll::expert_node
