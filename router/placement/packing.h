#pragma once

// A layer's placement while it is being made: what is where, how full every node is, and what may still go where.

#include <cstdint>
#include <span>
#include <vector>

#include "router/placement/layer_placement.h"

namespace atoll::router {

class Packing {
 public:
  // References are kept. copies: [experts], the replicas that each expert is to get.
  Packing(std::span<const double> loads, const LayerNodes& nodes, std::vector<int32_t> copies);

  const LayerNodes& nodes() const { return nodes_; }
  int32_t copies(int32_t expert) const { return copies_[expert]; }
  // Rows of one replica when an expert's are split evenly.
  double piece(int32_t expert) const { return loads_[expert] / copies_[expert]; }
  double load_of(int32_t expert) const { return loads_[expert]; }
  double load(int32_t node) const { return load_[node]; }
  double level(int32_t node) const { return load_[node] / nodes_.speed[node]; }
  double mean_level() const { return mean_level_; }
  bool full(int32_t node) const { return free_[node] == 0; }
  std::span<const int32_t> HostsOf(int32_t expert) const;
  bool Holds(int32_t expert, int32_t node) const;
  bool SharesDomain(int32_t expert, int32_t node) const;

  void Put(int32_t expert, int32_t node);
  // Two experts of one replica each change places.
  void SwapSingles(int32_t a, int32_t b);
  // One more replica of an expert for which only its own hosts have slots left: another expert's replica moves to such a
  // slot. False where no move helps.
  bool PutByMoving(int32_t expert);
  LayerPlacement Finish() const;

 private:
  int32_t ReplicaOn(int32_t expert, int32_t node) const;

  std::span<const double> loads_;
  const LayerNodes& nodes_;
  std::vector<int32_t> copies_;
  std::vector<int32_t> first_, placed_, host_;  // [experts + 1], [experts], [replicas]
  std::vector<int32_t> free_;                   // [nodes]
  std::vector<double> load_;                    // [nodes]
  double mean_level_ = 0;
};

}  // namespace atoll::router
