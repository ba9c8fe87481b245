#pragma once

// A step is data: what one forward pass of this node computes. Built by the batcher's decision (BuildStep), advanced by
// the step runner, observed by tests. Plain values, owned by the step thread.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "attention_node/batching/sequence.h"
#include "attention_node/batching/position_class.h"
#include "base/trace/trace_context.h"

namespace atoll::attention_node {

struct StepRow {
  int32_t token = 0;
  int32_t position = 0;
  PositionClass position_class = PositionClass::kPrompt;
  int32_t sequence = 0;  // index into StepPlan::sequences
  bool sample = false;   // logits are wanted: for the next token of the sequence, or for a prompt token's log-probability
};

struct StepSequence {
  SequenceKey key;
  std::span<std::byte* const> pages;  // base addresses, for positions 0 .. of the step's last row
};

// Rows [first_row, first_row + row_count) of the step. The first `generated_count` of them are of the generated class.
struct MicroBatch {
  int32_t first_row = 0;
  int32_t row_count = 0;
  int32_t generated_count = 0;
};

// Micro-batches follow one another without gaps. Rows of one sequence that lie in different micro-batches are in position
// order, and the runner keeps that order in every layer: a row's keys are in the pages before a later row reads them.
struct StepPlan {
  uint64_t step = 0;
  std::vector<StepRow> rows;
  std::vector<StepSequence> sequences;
  std::vector<MicroBatch> micro_batches;
  // Before the rows go away, not while they are away: on shared processors the expert nodes then have them to themselves.
  bool shared_expert_first = false;
  bool probe = false;        // nothing but probes: in no statistics
  trace::TraceContext span;  // empty: not traced

  void Clear() { rows.clear(), sequences.clear(), micro_batches.clear(); }
};

enum class MicroBatchSetting { kAuto, kOne, kTwo };

// How many micro-batches a step of `row_count` rows has. kAuto: one where experts and attention share their processors
// (two of them would read the experts' weights twice and gain nothing), else two as soon as each has kMicroBatchRowsMin.
inline constexpr int32_t kMicroBatchRowsMin = 8;
int32_t ChooseMicroBatches(int32_t row_count, bool shares_processors, MicroBatchSetting setting);

// One sequence's part in a step.
struct StepShare {
  Sequence* sequence = nullptr;
  int32_t row_count = 0;  // from sequence->computed on
};

// Fills `plan` (reused storage) with the shares' rows: cut into `micro_batches` of nearly equal size in share order, then
// generated rows first within each.
void BuildStep(std::span<const StepShare> shares, int32_t micro_batches, StepPlan& plan);

}  // namespace atoll::attention_node
