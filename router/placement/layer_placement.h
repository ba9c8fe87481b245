#pragma once

// One layer's experts on the expert nodes, in the form that the planners work on. Layers are independent of each other:
// cluster_plan.h divides the nodes' memory among them and puts their placements together.

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"

namespace atoll::router {

// The expert nodes as one layer sees them; all vectors [nodes].
struct LayerNodes {
  std::vector<double> speed;    // above 0; only ratios count
  std::vector<int32_t> slots;   // replicas of this layer that fit
  std::vector<int32_t> domain;  // failure domain: what fails together

  int32_t count() const { return static_cast<int32_t>(speed.size()); }
  int64_t slots_total() const;
  double speed_total() const;
  // `nodes` equal nodes, each its own domain.
  static LayerNodes Even(int32_t nodes, int32_t slots);
};

// Which nodes hold each expert. A value.
struct LayerPlacement {
  std::vector<int32_t> first;  // [experts + 1]: expert e has the replicas first[e] to first[e + 1] - 1
  std::vector<int32_t> host;   // [replicas]: their nodes, ascending within an expert

  int32_t experts() const { return static_cast<int32_t>(first.size()) - 1; }
  int32_t copies(int32_t expert) const { return first[expert + 1] - first[expert]; }
  std::span<const int32_t> HostsOf(int32_t expert) const {
    return {host.data() + first[expert], static_cast<size_t>(copies(expert))};
  }
  friend bool operator==(const LayerPlacement&, const LayerPlacement&) = default;
};

// Takes hosts in any order; a node that is there twice counts once.
LayerPlacement PlacementOfHosts(const std::vector<std::vector<int32_t>>& hosts);
std::vector<std::vector<int32_t>> HostsOfPlacement(const LayerPlacement& placement);
// [nodes] experts of each node, ascending.
std::vector<std::vector<int32_t>> ExpertsOfNodes(const LayerPlacement& placement, int32_t nodes);

// Pieces of the replica graph: nodes are joined where they hold the same expert. Load can be evened out only within one.
int32_t ReplicaGraphPieces(const LayerPlacement& placement, int32_t nodes);

// FAILED_PRECONDITION naming the expert or node unless every expert has a replica, none two on a node, and no node holds
// more than its slots.
absl::Status CheckLayer(const LayerPlacement& placement, const LayerNodes& nodes);

}  // namespace atoll::router
