#pragma once

// Where one layer's experts can be sent, laid out for the choices of every step. Made once per epoch.

#include <cstdint>
#include <span>
#include <vector>

namespace atoll::attention_node {

struct ReplicaMap {
  std::vector<int32_t> first;  // [experts + 1]: expert e has the replicas first[e] to first[e + 1] - 1
  std::vector<int32_t> node;   // [replicas]
  std::vector<float> speed;    // [nodes], above 0; the mean is 1
  std::vector<int32_t> single, shared;  // experts with one replica, with more
  int32_t copies_max = 0;

  int32_t experts() const { return static_cast<int32_t>(first.size()) - 1; }
  int32_t nodes() const { return static_cast<int32_t>(speed.size()); }
  int32_t replicas() const { return static_cast<int32_t>(node.size()); }
};

// first and node as above, every expert with a replica and none twice on a node; speed: [nodes], above 0.
ReplicaMap MakeReplicaMap(std::span<const int32_t> first, std::span<const int32_t> node, std::span<const double> speed);

}  // namespace atoll::attention_node
