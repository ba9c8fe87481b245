#include "kernels/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/sampling/filters.h"
#include "kernels/sampling/sampler_checks.h"
#include "kernels/sampling/sampler_rows.h"
#include "kernels/softmax/row_sums.h"

namespace atoll::kernels {

namespace {

const SamplerRows& SamplerRowsOf(Isa isa) {
  switch (isa) {
    case Isa::kReference: return kSamplerReference;
    case Isa::kAvx2: return kSamplerAvx2;
    case Isa::kAvx512:
    case Isa::kAvx512Bf16: return kSamplerAvx512;
  }
  return kSamplerReference;
}

KernelError CheckIds(std::string_view what, std::span<const int32_t> ids, int64_t vocabulary) {
  for (int32_t id : ids) {
    if (id < 0 || id >= vocabulary) {
      return InvalidValue(std::string(what) + " " + std::to_string(id) + " is outside the vocabulary of " + std::to_string(vocabulary));
    }
  }
  return {};
}

KernelError CheckRow(const SamplingRow& row, int64_t vocabulary_max) {
  const int64_t vocabulary = static_cast<int64_t>(row.logits.size());
  if (vocabulary < 1 || vocabulary > vocabulary_max) {
    return InvalidShape("Sampler: a row has " + std::to_string(vocabulary) + " logits, expected 1 to " + std::to_string(vocabulary_max));
  }
  return CheckSamplingRow(row, vocabulary);
}

// One row on one thread's workspace: `x` already holds the logits.
SampledToken SampleRow(Isa isa, const SamplingRow& row, std::span<float> x, const FilterSpace& space) {
  const SamplerRows& rows = SamplerRowsOf(isa);
  const SamplingParams& params = *row.params;
  const int64_t count = static_cast<int64_t>(x.size());
  bool finite = false;
  RowSumsOf(isa).max(x.data(), count, &finite);
  if (!finite) return {.outcome = SampleOutcome::kNonFiniteLogit};
  AdjustLogits(row, x);
  float max = RowSumsOf(isa).max(x.data(), count, &finite);
  if (max == -INFINITY) return {.outcome = SampleOutcome::kNothingAllowed};
  const auto best = static_cast<int32_t>(std::find(x.begin(), x.end(), max) - x.begin());
  if (params.Greedy()) return {.token = best};
  max = max / params.temperature;
  if (!std::isfinite(max)) return {.outcome = SampleOutcome::kNonFiniteLogit};
  rows.scale(x.data(), count, params.temperature, max);
  FilterTokens(rows, params, x, space);
  const NoiseKey key = {.seed = params.seed, .sequence_index = row.sequence_index, .position = row.position};
  return {.token = rows.gumbel_max(x.data(), count, key, best)};
}

}  // namespace

KernelError CheckSamplingRow(const SamplingRow& row, int64_t vocabulary) {
  if (row.params == nullptr) return InvalidShape("Sampler: a row has no sampling parameters");
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckIds("masked id", row.masked_ids, vocabulary));
  if (row.state == nullptr || row.state->entries().empty()) return {};
  const int32_t ends[] = {row.state->entries().front().token, row.state->entries().back().token};   // ascending
  return CheckIds("seen token", ends, vocabulary);
}

Sampler::Sampler(int64_t vocabulary_max, int threads) : vocabulary_max_(vocabulary_max), workspaces_(threads) {
  for (Workspace& workspace : workspaces_) {
    workspace.logits.resize(vocabulary_max);
    workspace.exps.resize(vocabulary_max);
    workspace.ids.resize(vocabulary_max);
  }
}

KernelError Sampler::Run(const Context& context, std::span<const SamplingRow> rows, std::span<SampledToken> tokens) {
  if (rows.size() != tokens.size()) return InvalidShape("Sampler: as many results as rows are needed");
  if (Threads(context) > static_cast<int>(workspaces_.size())) return InvalidShape("Sampler: made for fewer threads than the pool has");
  for (const SamplingRow& row : rows) ATOLL_RETURN_IF_KERNEL_ERROR(CheckRow(row, vocabulary_max_));
  ParallelFor(context, static_cast<int64_t>(rows.size()), [&](int64_t i, int thread) {
    Workspace& workspace = workspaces_[thread];
    const std::span<float> x(workspace.logits.data(), rows[i].logits.size());
    std::copy(rows[i].logits.begin(), rows[i].logits.end(), x.begin());
    tokens[i] = SampleRow(context.isa, rows[i], x, {.exps = workspace.exps.data(), .ids = workspace.ids.data()});
  });
  return {};
}

}  // namespace atoll::kernels
