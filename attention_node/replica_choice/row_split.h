#pragma once

// Exact water-filling: splits this batch's rows of every replicated expert over its replicas so that the fullest node,
// counted by its speed, is as empty as it can be. Looks at this attention node's own counts and at what the others are
// expected to send; nobody is asked. Minimises the sum of squared levels expert by expert, whose minimum is also that of
// the largest level.

#include <cstdint>
#include <span>
#include <vector>

#include "attention_node/replica_choice/replica_map.h"

namespace atoll::attention_node {

// Owns its workspace: Split does not allocate. One thread at a time.
class RowSplit {
 public:
  // Keeps a reference. `salt`: a number of this attention node, so that nodes with equal counts break ties differently.
  RowSplit(const ReplicaMap& map, uint32_t salt);

  // counts: [experts] rows of this batch. expected: [nodes] rows that others are expected to send to each node in this
  // step, or empty. rows: [replicas], out; those of one expert add up to its count. Same input, same output.
  void Split(std::span<const int32_t> counts, std::span<const float> expected, std::span<int32_t> rows) noexcept;

  // Of the last Split, before rounding: [replicas].
  std::span<const float> fractional_rows() const { return rows_; }

 private:
  // Two replicas of one expert. A move is load_a x share_a - load_b x share_b.
  struct Pair {
    int32_t row_a, row_b, node_a, node_b;
    float share_a, share_b;
  };

  // A replica of a shared expert, and all replicas of that expert.
  struct Held {
    int32_t row, first, last;
  };

  // One row goes from a replica to another of the same expert.
  struct Hop {
    int32_t from, to;
  };

  void AddPair(int32_t row_a, int32_t row_b);
  void Start(std::span<const int32_t> counts, std::span<const float> expected) noexcept;
  void EvenPair(const Pair& pair) noexcept;
  void WaterFill(int32_t expert, float count) noexcept;
  float HighestLevel() const noexcept;
  void Round(std::span<const int32_t> counts, std::span<int32_t> rows) noexcept;
  void EvenRounded(float mean, std::span<int32_t> rows) noexcept;
  int32_t FindRoom(int32_t fullest, std::span<const int32_t> rows) noexcept;

  const ReplicaMap& map_;
  uint32_t salt_;
  std::vector<float> inverse_speed_;   // [nodes]
  std::vector<float> load_, rows_;     // [nodes], [replicas]
  std::vector<float> base_;            // [nodes]: what does not move
  std::vector<Pair> pairs_;
  std::vector<int32_t> first_held_;    // [nodes + 1], into held_
  std::vector<Held> held_;
  std::vector<Hop> came_by_;           // [nodes]
  std::vector<int32_t> queue_;         // [nodes]
  std::vector<int32_t> many_;          // experts with more replicas than are paired
  std::vector<std::pair<float, int32_t>> order_;  // [copies_max]
};

}  // namespace atoll::attention_node
