#pragma once

// What an expert node has loaded, as those who run it see it: immutable and shared.

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "expert_node/expert_slots.h"
#include "kernels/linear/packed_matrix.h"

namespace atoll::expert_node {

// One loaded expert; its slot is free again when it dies.
struct Replica {
  Replica(std::shared_ptr<ExpertSlots> s, int32_t i) : slots(std::move(s)), slot(i) {}
  ~Replica() { slots->Free(slot); }
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  kernels::PackedMatrix gate, up, down;
  const std::shared_ptr<ExpertSlots> slots;  // shared with the store: the last one to go frees the memory
  const int32_t slot;
};

using LayerExperts = std::vector<std::shared_ptr<const Replica>>;  // [experts], null where not loaded

// What is loaded. Layers are shared between tables, so that a newer one costs little to make and to free, and a batch keeps
// the table that it started with.
struct ExpertTable {
  uint64_t loaded_epoch = 0;  // the newest assignment that is loaded whole
  std::vector<std::shared_ptr<const LayerExperts>> layers;

  const Replica* Find(int64_t layer, int64_t expert) const { return (*layers[layer])[expert].get(); }
};

}  // namespace atoll::expert_node
