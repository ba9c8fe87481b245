#pragma once

// The placement table: which expert node holds which replica, under one epoch. A plain value that the router writes and
// everybody else reads; shared between threads only as const.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/config.h"

namespace atoll::model {

// A routed expert. `layer` is absolute: the first MoE layer of a model with three dense layers is 3, the MTP layer
// comes after the main layers.
struct ExpertId {
  int32_t layer = 0;
  int32_t expert = 0;
  friend auto operator<=>(const ExpertId&, const ExpertId&) = default;
};

// Every routed expert, by layer, then id. Without `with_mtp` those of the MTP layers are left out.
std::vector<ExpertId> AllExperts(const ModelConfig& config, bool with_mtp);

struct Replica {
  int32_t node = 0;  // index into Placement::node_ids
  double share = 1;  // of the expert's rows; the shares of one expert add up to 1
  friend bool operator==(const Replica&, const Replica&) = default;
};

struct Placement {
  uint64_t epoch = 0;
  int64_t layers = 0;   // absolute, dense ones included
  int64_t experts = 0;  // per MoE layer
  std::vector<std::string> node_ids;
  std::vector<bool> layer_has_experts;         // [layers]
  std::vector<std::vector<Replica>> replicas;  // [layers * experts], layer outermost; empty in dense layers

  const std::vector<Replica>& ReplicasOf(ExpertId id) const { return replicas[id.layer * experts + id.expert]; }
  std::vector<Replica>& ReplicasOf(ExpertId id) { return replicas[id.layer * experts + id.expert]; }
  bool Contains(ExpertId id) const {
    return id.layer >= 0 && id.layer < layers && id.expert >= 0 && id.expert < experts && layer_has_experts[id.layer];
  }
  friend bool operator==(const Placement&, const Placement&) = default;
};

// A table of the model's shape in which no expert has a replica yet. Without `with_mtp` the MTP layers are left out.
Placement EmptyPlacement(const ModelConfig& config, bool with_mtp);

// Experts that `node` (an index) holds, by layer, then id.
std::vector<ExpertId> ExpertsOfNode(const Placement& placement, int32_t node);

// InvalidArgument unless sizes fit each other, every expert has a replica, node indexes are in range, no node holds two
// copies of an expert, shares are in [0, 1] and add up to 1, node ids are distinct and dense layers are empty.
absl::Status ValidatePlacement(const Placement& placement);

}  // namespace atoll::model
