#pragma once

// A layer's placement under search: its replicas, the split of all sampled batches over them, and the score of that.
// A change is tried, looked at, and then kept or undone.

#include <cstdint>
#include <vector>

#include "router/placement/layer_placement.h"
#include "router/placement/search/lanes.h"

namespace atoll::router {

class LaneSplit {
 public:
  // References are kept. The placement is sound.
  LaneSplit(const LaneBatches& batches, const LayerNodes& nodes, const LayerPlacement& placement);

  // Mean over lanes of the fullest node's level (1 is perfect), after a few sweeps of splitting.
  double score() const { return score_; }
  // What stands in a slot: an expert, or -1. Slots are numbered node by node.
  int32_t expert_in(int32_t slot) const { return expert_[slot]; }
  int32_t slots() const { return static_cast<int32_t>(expert_.size()); }
  int32_t first_slot(int32_t node) const { return first_slot_[node]; }
  int32_t slots_of(int32_t node) const { return first_slot_[node + 1] - first_slot_[node]; }
  int32_t node_of(int32_t slot) const { return node_[slot]; }
  int32_t copies(int32_t expert) const { return static_cast<int32_t>(slots_of_expert_[expert].size()); }
  const std::vector<int32_t>& SlotsOf(int32_t expert) const { return slots_of_expert_[expert]; }
  bool Holds(int32_t expert, int32_t node) const;
  float load(int32_t expert, int lane) const { return batches_.loads[expert].at[lane]; }
  float level(int32_t node, int lane) const { return load_[node].at[lane] * inverse_speed_[node]; }
  LayerPlacement placement() const;

  // The experts in slots a and b (of different nodes) change places; -1 may be one of them. False, and nothing done, where
  // a node would hold an expert twice.
  bool TrySwap(int32_t a, int32_t b);
  // Slot takes one more replica of `expert` in place of what it has, which has other replicas. False where that cannot be.
  bool TryReplace(int32_t slot, int32_t expert);
  void Undo();  // the last change that was tried

 private:
  void Save();
  void Take(int32_t slot);
  void Give(int32_t slot, int32_t expert);
  void SpreadEvenly(int32_t expert);
  void Lift(int32_t expert);
  void Sweep(int sweep);
  void Balance(int sweeps);

  struct Change {
    int32_t slot, expert;
  };

  const LaneBatches& batches_;
  const LayerNodes& nodes_;
  std::vector<int32_t> first_slot_, node_, expert_;
  std::vector<float> inverse_speed_;                   // [nodes], mean speed 1
  std::vector<std::vector<int32_t>> slots_of_expert_;  // [experts]
  std::vector<Lanes> rows_;                            // [slots]
  std::vector<Lanes> load_;                            // [nodes]
  std::vector<Lanes> saved_rows_, saved_load_;
  std::vector<Change> changes_;  // since Save, newest last
  double score_ = 0, saved_score_ = 0;
};

}  // namespace atoll::router
