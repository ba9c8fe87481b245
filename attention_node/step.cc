#include "attention_node/step.h"

#include <algorithm>

namespace atoll::attention_node {
namespace {

void AddRows(const StepShare& share, StepPlan& plan) {
  const Sequence& sequence = *share.sequence;
  const int32_t index = static_cast<int32_t>(plan.sequences.size());
  plan.sequences.push_back({sequence.key(), sequence.page_addresses()});
  for (int32_t i = 0; i < share.row_count; ++i) {
    const int32_t position = sequence.computed() + i;
    plan.rows.push_back({.token = sequence.tokens()[position],
                         .position = position,
                         .position_class = sequence.ClassOf(position),
                         .sequence = index,
                         .sample = position + 1 == sequence.known() || sequence.WantsPromptLogprob(position)});
  }
}

MicroBatch CutMicroBatch(int32_t first, int32_t end, StepPlan& plan) {
  const auto begin = plan.rows.begin();
  const auto middle = std::stable_partition(begin + first, begin + end, [](const StepRow& row) {
    return row.position_class == PositionClass::kGenerated;
  });
  return {first, end - first, static_cast<int32_t>(middle - begin) - first};
}

}  // namespace

int32_t ChooseMicroBatches(int32_t row_count, bool shares_processors, MicroBatchSetting setting) {
  const int32_t most = std::min(row_count, 2);
  if (setting == MicroBatchSetting::kTwo) return most;
  if (setting == MicroBatchSetting::kOne || shares_processors) return std::min(row_count, 1);
  return row_count >= 2 * kMicroBatchRowsMin ? 2 : std::min(row_count, 1);
}

void BuildStep(std::span<const StepShare> shares, int32_t micro_batches, StepPlan& plan) {
  plan.Clear();
  for (const StepShare& share : shares) AddRows(share, plan);
  const int32_t rows = static_cast<int32_t>(plan.rows.size());
  for (int32_t i = 0; i < micro_batches; ++i) {
    const int32_t first = rows * i / micro_batches;
    plan.micro_batches.push_back(CutMicroBatch(first, rows * (i + 1) / micro_batches, plan));
  }
}

}  // namespace atoll::attention_node
