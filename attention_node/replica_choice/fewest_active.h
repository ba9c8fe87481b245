#pragma once

// For small batches, where an expert node's time is that of reading the weights of the experts it is asked for: all rows of
// an expert go to one replica, chosen so that the node with most experts to read, counted by its speed, has as few as can
// be (greedy, then augmenting paths).

#include <cstdint>
#include <span>
#include <vector>

#include "attention_node/replica_choice/replica_map.h"

namespace atoll::attention_node {

// Owns its workspace: Choose does not allocate. One thread at a time.
class FewestActive {
 public:
  FewestActive(const ReplicaMap& map, uint32_t salt);  // as RowSplit

  // counts: [experts]. busy: [nodes] what each node has to do besides, in units of one expert to read, or empty. rows:
  // [replicas], out: an expert's count at one replica, 0 at its others.
  void Choose(std::span<const int32_t> counts, std::span<const float> busy, std::span<int32_t> rows) noexcept;

 private:
  void ChooseGreedily(std::span<const int32_t> counts) noexcept;
  void Settle() noexcept;
  bool Lower(int32_t node) noexcept;
  void MoveBack(int32_t node) noexcept;
  float Level(int32_t node, int32_t more) const { return (active_[node] + static_cast<float>(more)) / map_.speed[node]; }

  const ReplicaMap& map_;
  uint32_t salt_;
  std::vector<int32_t> by_copies_;     // shared experts, fewest copies first
  std::vector<int32_t> replica_;       // [experts]: the chosen one, -1 when not active
  std::vector<float> active_;          // [nodes], busy included
  std::vector<int32_t> first_held_, held_;  // replicas of shared experts by node
  std::vector<int32_t> expert_of_;     // [replicas]
  std::vector<int32_t> came_by_, queue_;    // [nodes]: replica over which the search came, -1 not seen
};

}  // namespace atoll::attention_node
