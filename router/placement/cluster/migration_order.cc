#include "router/placement/cluster/migration_order.h"

#include <algorithm>
#include <set>

namespace atoll::router {
namespace {

using model::ExpertId;

class Order {
 public:
  Order(const std::vector<std::vector<ExpertId>>& held, const model::Placement& target, const std::vector<int64_t>& slots)
      : target_(target), slots_(slots), held_(held.size()), wanted_(held.size()), live_(target.replicas.size(), 0) {
    for (int32_t n = 0; n < nodes(); ++n) {
      held_[n].insert(held[n].begin(), held[n].end());
      for (const ExpertId& id : held[n]) ++Live(id);
    }
    for (int32_t layer = 0; layer < target.layers; ++layer)
      for (int32_t e = 0; e < target.experts; ++e)
        for (const model::Replica& replica : target.ReplicasOf({layer, e})) wanted_[replica.node].insert({layer, e});
  }

  absl::StatusOr<std::vector<MigrationStep>> Run() {
    // Each round makes a step; evictions are as many as there are replicas, so that this ends.
    size_t evictions_left = live_.size() + 1;
    for (bool done = false; !done;) {
      if (LoadAll() || FreeOne()) continue;
      done = Missing() < 0;
      if (!done && (evictions_left-- == 0 || !EvictOne())) return Stuck();
    }
    return std::move(steps_);
  }

 private:
  int32_t nodes() const { return static_cast<int32_t>(held_.size()); }
  int32_t& Live(const ExpertId& id) { return live_[id.layer * target_.experts + id.expert]; }
  bool Full(int32_t n) const { return static_cast<int64_t>(held_[n].size()) >= slots_[n]; }

  void Load(int32_t n, const ExpertId& id) {
    held_[n].insert(id);
    ++Live(id);
    steps_.push_back({true, id, n});
  }

  void Free(int32_t n, const ExpertId& id) {
    held_[n].erase(id);
    --Live(id);
    steps_.push_back({false, id, n});
  }

  // Whatever has room, experts without a live replica first.
  bool LoadAll() {
    const size_t before = steps_.size();
    for (const bool urgent : {true, false})
      for (int32_t n = 0; n < nodes(); ++n)
        for (const ExpertId& id : wanted_[n])
          if (!Full(n) && !held_[n].contains(id) && (!urgent || Live(id) == 0)) Load(n, id);
    return steps_.size() > before;
  }

  // What no node wants any more, once another replica is live; one for each full node.
  bool FreeOne() {
    bool freed = false;
    for (int32_t n = 0; n < nodes(); ++n) {
      for (const ExpertId id : held_[n]) {  // a copy: Free erases the element
        if (wanted_[n].contains(id) || Live(id) < 2) continue;
        Free(n, id);
        freed = true;
        break;
      }
    }
    return freed;
  }

  // A node that still waits for a replica, or -1.
  int32_t Missing() const {
    for (int32_t n = 0; n < nodes(); ++n)
      if (!std::includes(held_[n].begin(), held_[n].end(), wanted_[n].begin(), wanted_[n].end())) return n;
    return -1;
  }

  // Full nodes wait for each other: one gives up a replica that has others, and loads it again in the end.
  bool EvictOne() {
    for (int32_t n = 0; n < nodes(); ++n) {
      if (std::includes(held_[n].begin(), held_[n].end(), wanted_[n].begin(), wanted_[n].end())) continue;
      for (const ExpertId id : held_[n]) {  // a copy: Free erases the element
        if (Live(id) < 2) continue;
        Free(n, id);
        const auto next = std::find_if(wanted_[n].begin(), wanted_[n].end(), [&](const ExpertId& w) { return w != id && !held_[n].contains(w); });
        Load(n, *next);
        return true;
      }
    }
    return LendOne();
  }

  // Any free slot anywhere takes an expert that stands in the way for a while.
  bool LendOne() {
    const int32_t n = Missing();
    for (int32_t other = 0; other < nodes(); ++other) {
      if (Full(other)) continue;
      for (const ExpertId id : held_[n]) {  // a copy: Free erases the element
        if (wanted_[n].contains(id) || held_[other].contains(id)) continue;
        Load(other, id);
        Free(n, id);
        return true;
      }
    }
    return false;
  }

  absl::Status Stuck() const {
    return absl::FailedPreconditionError(absl::StrCat("placement: no order of loads and frees leads to the new placement: node ",
                                                      target_.node_ids[Missing()], " is full and every expert on it the only replica; add memory or nodes"));
  }

  const model::Placement& target_;
  const std::vector<int64_t>& slots_;
  std::vector<std::set<ExpertId>> held_, wanted_;  // [nodes]
  std::vector<int32_t> live_;                      // [layers * experts]
  std::vector<MigrationStep> steps_;
};

}  // namespace

absl::StatusOr<std::vector<MigrationStep>> OrderMigrations(const std::vector<std::vector<ExpertId>>& held, const model::Placement& target,
                                                           const std::vector<int64_t>& slots) {
  return Order(held, target, slots).Run();
}

}  // namespace atoll::router
