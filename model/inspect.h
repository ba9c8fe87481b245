#pragma once

// What a checkpoint holds and what each role would need in memory, for people.

#include <string>

#include "model/checkpoint.h"

namespace atoll::model {

// Sizes in bytes, of weights as stored.
struct CheckpointNeeds {
  int64_t parameters = 0;       // MTP copies left out
  int64_t attention_bytes = 0;  // one attention node's weights, MTP layer included when there
  int64_t expert_bytes = 0;     // one routed expert
  int64_t experts = 0;          // routed experts, all layers
  int64_t page_bytes = 0;       // one page of latent cache in bf16
  int64_t position_bytes = 0;   // latent cache of one position
};
CheckpointNeeds NeedsOf(const Checkpoint& checkpoint);

// Several lines of text.
std::string InspectCheckpoint(const Checkpoint& checkpoint);

}  // namespace atoll::model
