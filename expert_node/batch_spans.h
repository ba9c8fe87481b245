#pragma once

// Spans of what was computed for traced steps, below the span that their dispatches' headers carry.

#include <cstdint>
#include <span>

#include "base/clock.h"
#include "base/trace/tracer.h"
#include "expert_node/dispatch_part.h"
#include "expert_node/expert_batch.h"

namespace atoll::expert_node {

struct ComputedBatch {
  const PartStore& store;
  std::span<const int32_t> parts;
  const ExpertBatch& batch;
  int64_t begin_ns = 0;  // it was computed from then until now
};

// One span for each step that has parts in the batch and is traced.
void RecordBatchSpans(trace::Tracer& tracer, const Clock& clock, const ComputedBatch& computed);

}  // namespace atoll::expert_node
