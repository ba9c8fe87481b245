#pragma once

// Which attention node gets a request. Pure.

#include <cstdint>
#include <optional>
#include <span>

#include "base/status.h"

namespace atoll::router {

// What is known of a node that may be chosen.
struct AttentionLoad {
  int64_t sequences = 0;         // that this router has running or waiting there
  int64_t prompt_tokens = 0;     // of those that have not sampled a token yet
  int64_t other_sequences = 0;   // that the node reports beyond ours (of other routers)
  int32_t max_num_seqs = 1;
  int32_t max_queued = 0;
  int32_t max_model_len = 0;
};

// All sequences of a request go to one node: the one with the smallest part of its seats taken, then the fewest prompt
// tokens to compute, then the first. RESOURCE_EXHAUSTED with a retry delay when no node has room for `sequences` more,
// INVALID_ARGUMENT when none takes sequences of `positions`; `loads` has one entry at least.
absl::StatusOr<size_t> ChooseAttentionNode(std::span<const AttentionLoad> loads, int64_t sequences, int64_t positions);

}  // namespace atoll::router
