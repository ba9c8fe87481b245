#include "kernels/cuda/reach.h"
#include "kernels/expect.h"
#include "kernels/sampling/sampler_checks.h"
#include "kernels/sampling/sampler_cuda.h"

namespace atoll::kernels {

namespace {

template <typename T>
ListPart Append(std::span<const T> from, std::vector<T>* list) {
  const ListPart part = {static_cast<int32_t>(list->size()), static_cast<int32_t>(from.size())};
  list->insert(list->end(), from.begin(), from.end());
  return part;
}

// The ids that are not allowed, as masked ones: few or nearly all, here they are a list.
void AppendNotAllowed(std::span<const uint64_t> allowed, int64_t vocabulary, DeviceSamplingBatch& batch, ListPart& masked) {
  for (int64_t id = 0; !allowed.empty() && id < vocabulary; ++id) {
    const size_t word = static_cast<size_t>(id) / 64;
    if (word < allowed.size() && (allowed[word] >> (id % 64) & 1) != 0) continue;
    batch.masked_ids.push_back(static_cast<int32_t>(id));
    ++masked.count;
  }
}

}  // namespace

KernelError DeviceSamplingBatch::Add(const SamplingRow& row, int64_t vocabulary) {
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckSamplingRow(row, vocabulary));
  const SamplingParams& params = *row.params;
  DeviceSamplingRow added = {.temperature = params.temperature, .top_k = params.top_k, .top_p = params.top_p, .min_p = params.min_p,
                             .presence_penalty = params.presence_penalty, .frequency_penalty = params.frequency_penalty,
                             .repetition_penalty = params.repetition_penalty, .seed = params.seed,
                             .sequence_index = row.sequence_index, .position = row.position};
  added.biases = Append(std::span<const LogitBias>(params.logit_bias), &biases);
  added.masked = Append(row.masked_ids, &masked_ids);
  AppendNotAllowed(row.allowed, vocabulary, *this, added.masked);
  if (row.state != nullptr && params.HasPenalties()) added.seen = Append(row.state->entries(), &seen);
  rows.push_back(added);
  return {};
}

KernelError Sample(DeviceStream& stream, const DeviceSamplerArgs& args) {
  const int64_t rows = args.logits.rows, vocabulary = args.logits.cols;
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("Sample's logits", args.logits, Dtypes::kF32, rows, vocabulary));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectTrue(vocabulary >= 1, "Sample: the vocabulary is empty"));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("Sample's scratch", args.scratch, Dtypes::kF32, rows, vocabulary));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectSize("Sample's rows", args.rows.size(), rows));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectSize("Sample's tokens", args.tokens.size(), rows));
  if (rows == 0) return {};
  SamplerParams params = {.vocabulary = vocabulary};
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "Sample's logits", args.logits, &params.logits));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "Sample's scratch", args.scratch, &params.scratch));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "Sample's rows", args.rows, &params.rows));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "Sample's biases", args.biases, &params.biases));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "Sample's masked ids", args.masked_ids, &params.masked_ids));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "Sample's seen tokens", args.seen, &params.seen));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "Sample's tokens", args.tokens, &params.tokens));
  return stream.Launch(kSampleRows, {.grid = {static_cast<uint32_t>(rows)}, .block = {kSampleRows.threads_max}}, params);
}

}  // namespace atoll::kernels
