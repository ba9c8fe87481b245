#include "attention_node/intake/request_check.h"

#include <algorithm>
#include <span>

#include "attention_node/batching/batcher.h"
#include "attention_node/batching/page_pool.h"
#include "attention_node/batching/sequence.h"
#include "attention_node/sampling/sequence_sampler.h"

namespace atoll::attention_node {
namespace {

absl::Status CheckIds(const char* field, std::span<const int32_t> ids, int32_t vocabulary) {
  const auto bad = std::find_if(ids.begin(), ids.end(), [&](int32_t id) { return id < 0 || id >= vocabulary; });
  if (bad == ids.end()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, "[", bad - ids.begin(), "] is ", *bad, ", expected 0 to ", vocabulary - 1));
}

absl::Status CheckRange(const char* field, int64_t value, int64_t lowest, int64_t highest) {
  if (value >= lowest && value <= highest) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, " is ", value, ", expected ", lowest, " to ", highest));
}

}  // namespace

absl::Status CheckRequest(const SequenceRequest& request, const RequestBounds& bounds) {
  if (request.prompt_ids.empty()) return absl::InvalidArgumentError("prompt_ids is empty, expected at least one token");
  ATOLL_RETURN_IF_ERROR(CheckIds("prompt_ids", request.prompt_ids, bounds.vocabulary));
  ATOLL_RETURN_IF_ERROR(CheckIds("generated_ids", request.generated_ids, bounds.vocabulary));
  ATOLL_RETURN_IF_ERROR(CheckIds("stop_token_ids", request.stop_token_ids, bounds.vocabulary));
  const int64_t prompt = static_cast<int64_t>(request.prompt_ids.size()), generated = static_cast<int64_t>(request.generated_ids.size());
  ATOLL_RETURN_IF_ERROR(CheckRange("max_tokens", request.max_tokens, generated + 1, bounds.positions_max));
  ATOLL_RETURN_IF_ERROR(CheckRange("prompt_ids and max_tokens together", prompt + request.max_tokens, 0, bounds.positions_max));
  ATOLL_RETURN_IF_ERROR(CheckRange("min_tokens", request.min_tokens, 0, request.max_tokens));
  ATOLL_RETURN_IF_ERROR(CheckRange("logprobs", request.logprobs, -1, std::min(kLogprobsMax, bounds.vocabulary)));
  if (request.prompt_logprobs && request.logprobs < 0) return absl::InvalidArgumentError("prompt_logprobs without logprobs");
  if (const kernels::KernelError error = kernels::CheckSamplingParams(SamplingParamsOf(request.sampling), bounds.vocabulary); !error.ok()) {
    return absl::InvalidArgumentError(error.text);
  }
  if (FitsEver(PositionsMax(request), bounds.pages)) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("the sequence may need ", PagesFor(PositionsMax(request)), " pages of ", kPagePositions,
                                                   " positions, this node has ", bounds.pages, " (--kv-cache-memory-bytes)"));
}

}  // namespace atoll::attention_node
