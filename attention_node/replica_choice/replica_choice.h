#pragma once

// Which replica each row of a batch goes to: what a roofline of the expert nodes calls fastest, of the even split of rows
// (large batches: computing bounds a node), the fewest experts to read (small ones: memory does), and both at once: the
// experts with few rows whole, those with many split over what that leaves.

#include <cstdint>
#include <span>
#include <vector>

#include "attention_node/replica_choice/fewest_active.h"
#include "attention_node/replica_choice/row_split.h"

namespace atoll::attention_node {

// Of a node of mean speed. An expert with n rows takes max(weights_us, n x row_us).
struct ExpertRoofline {
  float weights_us = 14.7F;  // to read one expert's weights
  float row_us = 0.126F;     // to compute one row; 0: nothing, so that no expert is worth splitting
};

enum class SplitKind : uint8_t { kRows, kFewestActive, kMixed };

// Owns its workspace: Choose does not allocate. One thread at a time.
class ReplicaChoice {
 public:
  // Takes the map over. salt: a number of this attention node.
  ReplicaChoice(ReplicaMap map, const ExpertRoofline& roofline, uint32_t salt);
  ReplicaChoice(const ReplicaChoice&) = delete;

  // As RowSplit::Split. `parts`: attention nodes whose batches meet at the expert nodes, each about like this one; an
  // expert's rows there are about `parts` times the count here.
  SplitKind Choose(std::span<const int32_t> counts, std::span<const float> expected, int32_t parts, std::span<int32_t> rows) noexcept;

  // The slowest node's time for these rows: [replicas].
  float SlowestNodeUs(std::span<const int32_t> rows, int32_t parts) noexcept;
  const ReplicaMap& map() const { return map_; }

 private:
  void Mix(std::span<const int32_t> counts, std::span<const float> expected, float hot_count, std::span<int32_t> rows) noexcept;

  float PartUs(int32_t node, int32_t rows, int32_t parts) const noexcept;
  bool Relieve(int32_t slow, int32_t parts, std::span<int32_t> rows) noexcept;
  void RelieveAll(int32_t parts, std::span<int32_t> rows) noexcept;

  const ReplicaMap map_;
  const ExpertRoofline roofline_;
  RowSplit split_;
  FewestActive fewest_;
  std::vector<int32_t> other_rows_, mixed_rows_;     // [replicas]
  std::vector<int32_t> hot_counts_, cold_counts_;    // [experts]
  std::vector<float> busy_;                          // [nodes]
  std::vector<float> node_us_;                       // [nodes]
  std::vector<int32_t> first_held_, held_;           // replicas of shared experts by node
  std::vector<int32_t> expert_of_;                   // [replicas]
};

}  // namespace atoll::attention_node
