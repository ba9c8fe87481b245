#pragma once

// The way from one placement to another: loads and frees in an order in which no node ever holds more than fits, and no
// expert that has a live replica is ever without one.

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "model/placement.h"

namespace atoll::router {

struct MigrationStep {
  bool load = false;  // otherwise: free
  model::ExpertId expert;
  int32_t node = 0;  // index in the target placement
  friend bool operator==(const MigrationStep&, const MigrationStep&) = default;
};

// held: [nodes] of `target`, what each holds now, sorted. slots: [nodes], replicas that fit. A replica that only stands in
// the way may be freed and loaded again later. FAILED_PRECONDITION where not even that helps: every node is full and
// every expert there the only one.
absl::StatusOr<std::vector<MigrationStep>> OrderMigrations(const std::vector<std::vector<model::ExpertId>>& held, const model::Placement& target,
                                                           const std::vector<int64_t>& slots);

}  // namespace atoll::router
