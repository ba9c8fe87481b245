#pragma once

// Whether a request can run on this node at all. Pure.

#include <cstdint>

#include "attention_node/sequence_request.h"
#include "base/status.h"

namespace atoll::attention_node {

struct RequestBounds {
  int32_t vocabulary = 0;     // ids below are embeddings
  int32_t positions_max = 0;  // of a sequence, prompt and sampled tokens
  int32_t pages = 0;          // of the pool
};

inline constexpr int32_t kLogprobsMax = 20;

// InvalidArgument names the field, what is allowed and what was found; ResourceExhausted where the pool is too small.
absl::Status CheckRequest(const SequenceRequest& request, const RequestBounds& bounds);

}  // namespace atoll::attention_node
