#pragma once

// Which replica each pair of a dispatch goes to: the numbers of rows per replica are ReplicaChoice's, from the counts of
// this dispatch; which rows they are is free, and a row goes where it goes anyway, so that few rows cross twice. Owned by
// the step thread; storage is reused.

#include <cstdint>
#include <span>
#include <vector>

#include "attention_node/routing/routing_table.h"

namespace atoll::attention_node {

class ReplicaSelector {
 public:
  // Before the rows of a dispatch, whose experts these are. `table` and `usable` [nodes] are borrowed until the last row.
  void Begin(RoutingTable& table, int32_t layer, std::span<const int32_t> experts, const std::vector<bool>& usable);
  // Fills `nodes`, one for each expert of the next row, and returns -1; or returns an expert that no usable node holds.
  int32_t ChooseRow(std::span<const int32_t> experts, std::span<int32_t> nodes);

  int32_t nodes() const { return nodes_; }

 private:
  void Split(RoutingTable& table, int32_t layer, std::span<const int32_t> experts);
  void LeaveUnusable();
  int32_t ChooseOnly(std::span<const int32_t> experts, std::span<int32_t> nodes) const;
  bool Open(int32_t replica) const { return left_[replica] > 0 && (*usable_)[layer_->node[replica]]; }
  int32_t Take(int32_t replica);
  void CountCovers(std::span<const int32_t> experts);
  int32_t Best(int32_t expert) const;

  LayerReplicas* layer_ = nullptr;
  const std::vector<bool>* usable_ = nullptr;
  int32_t nodes_ = 0;
  std::vector<int32_t> counts_;     // [experts]
  std::vector<float> expected_;     // [nodes] rows that other attention nodes send there in this step, or empty
  std::vector<int32_t> left_;       // [replicas] rows that still go there
  uint64_t row_ = 0;                // counts all rows ever
  std::vector<uint64_t> visited_;   // [nodes] the last row that went there
  std::vector<int32_t> covers_;     // [nodes] undecided experts of the row that could go there
  std::vector<int32_t> undecided_;  // slots
};

}  // namespace atoll::attention_node
