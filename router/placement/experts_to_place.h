#pragma once

// The routed experts of a model as placement sees them. A plain value.

#include <cstdint>

#include "model/config.h"

namespace atoll::router {

struct ExpertsToPlace {
  const model::ModelConfig* config = nullptr;
  bool with_mtp = false;
  int64_t expert_bytes = 0;  // of one expert in memory
};

}  // namespace atoll::router
