#pragma once

// Hill climbing over placements of one layer against several blocks of sampled batches at once. Many batches, because a
// search that sees few finds a placement for just those.

#include <cstdint>
#include <vector>

#include "router/placement/search/lane_split.h"

namespace atoll::router {

struct ClimbRules {
  int32_t min_replicas = 1;  // no expert falls below it, and its first two replicas stay in different failure domains
};

class Climber {
 public:
  struct Block {
    LaneBatches batches;
    double weight = 1;  // of its score in the whole
  };

  // Keeps references to `nodes`.
  Climber(std::vector<Block> blocks, const LayerNodes& nodes, const LayerPlacement& start, const ClimbRules& rules);

  double score() const { return score_; }
  LayerPlacement placement() const { return splits_[0].placement(); }
  // Looks at one change of the placement and makes it if the score falls by more than `gain_min` per replica that has to
  // be loaded. False when no change could be found at all. `loads`: replicas that the change had to load, 0 if not made.
  bool Step(SeededRandom& random, double gain_min, int32_t* loads);
  // Looks at `draws` changes and makes the one that gains most per replica loaded, among those that load at most
  // `loads_max` and gain `gain_min` for each. Replicas loaded; 0 when there was none.
  int32_t StepBest(SeededRandom& random, int32_t draws, double gain_min, int32_t loads_max);

 private:
  struct Change {
    bool copy = false;
    int32_t from = 0, to = 0;
  };

  bool Draw(SeededRandom& random, Change* change) const;
  int32_t PickNode(const LaneSplit& split, int lane, bool hot, SeededRandom& random) const;
  bool Allowed(const LaneSplit& split, const Change& change, int lane) const;
  bool StaysCovered(const LaneSplit& split, int32_t leaving, int32_t node) const;
  bool Try(LaneSplit& split, const Change& change) const;
  int32_t LoadsOf(const Change& change) const;
  double TryAll(const Change& change, size_t* tried);
  void Undo(size_t tried);

  std::vector<Block> blocks_;
  const LayerNodes& nodes_;
  const ClimbRules rules_;
  std::vector<LaneSplit> splits_;  // one per block, all of the same placement
  double score_ = 0;
};

}  // namespace atoll::router
