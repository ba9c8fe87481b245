#pragma once

// The first placement of a model's experts: every expert once, each layer spread over the expert nodes by their speed, as
// far as their memory goes. Pure.

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/config.h"
#include "model/placement.h"

namespace atoll::router {

struct ExpertNodeOffer {
  std::string node_id;
  uint64_t memory_bytes = 0;  // for replicas
  double speed = 1;           // above 0
  // Loaded there already: such an expert stays with the first node that has it and room for it.
  std::vector<model::ExpertId> held;
};

struct ExpertsToPlace {
  const model::ModelConfig* config = nullptr;
  bool with_mtp = false;
  int64_t expert_bytes = 0;  // of one expert in memory
};

// Epoch 0. Neighbouring experts share a node, so that a row whose groups are few goes to few nodes. FAILED_PRECONDITION,
// with numbers, when the nodes' memory together does not hold all experts.
absl::StatusOr<model::Placement> InitialPlacement(const ExpertsToPlace& experts, const std::vector<ExpertNodeOffer>& nodes);

}  // namespace atoll::router
