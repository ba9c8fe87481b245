#pragma once

// Which tensors a node's shard is made of. An attention node's names no routed expert; an expert node's names its
// experts and nothing else. Pure functions over the catalogue.

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "model/config.h"
#include "model/placement.h"
#include "model/tensor_catalogue.h"

namespace atoll::model {

struct ShardPlan {
  std::vector<int64_t> tensors;  // indexes into catalogue.specs(), ascending, scale tensors included
  int64_t bytes = 0;             // as stored
};

// MTP duplicates of embedding and head are left out: the main ones serve both.
ShardPlan AttentionShard(const TensorCatalogue& catalogue, bool with_mtp);

// InvalidArgument when an id does not exist in the model or is there twice.
absl::StatusOr<ShardPlan> ExpertShard(const TensorCatalogue& catalogue, const ModelConfig& config,
                                      std::span<const ExpertId> experts);

// Weights of one routed expert with their scales, in memory. The same for every expert of a model.
int64_t ExpertBytes(const ModelConfig& config);

}  // namespace atoll::model
