#pragma once

// The life of a re-placement. Ordered steps are cut into rounds, and each goes through three stages:
//  load  the nodes hold what they held and the round's loads, which fits by construction; all serve meanwhile;
//  move  a view without the round's frees is out, and attention nodes come to follow it;
//  free  they all do and have nothing older in flight: the nodes are told to hold the rest, and the next round begins.
// A migration may be given up between any two events: what is there is always described by Holdings. Thread-compatible.

#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "router/balance/holdings.h"
#include "router/placement/cluster/migration_order.h"

namespace atoll::router {

class Migration {
 public:
  enum class Stage { kNone, kLoad, kMove };
  static constexpr int64_t kLoadsPerNode = 64;  // in one round beside serving

  // Gives up what went on. node_ids: what the steps' nodes are called. loads_per_node: that one
  // round has at most, above 0. False as Advance.
  [[nodiscard]] bool Start(const std::vector<MigrationStep>& steps, std::vector<std::string> node_ids, int64_t loads_per_node, Holdings& holdings);
  void GiveUp();

  // Goes on as far as that is possible now. published: epoch of the newest view, 0 while one without freeing() is still to
  // come out. followed: the newest epoch that every attention node follows, with nothing older in flight. False when the
  // next step cannot be taken (the nodes are not what they were at planning): it has given up.
  [[nodiscard]] bool Advance(Holdings& holdings, uint64_t published, uint64_t followed);

  Stage stage() const { return stage_; }
  bool active() const { return stage_ != Stage::kNone; }
  // Not to be sent to any more.
  const std::set<NodeReplica>& freeing() const { return freeing_; }
  int64_t steps_left() const { return static_cast<int64_t>(steps_.size()); }
  uint64_t rounds() const { return rounds_; }  // begun, ever
  uint64_t replicas_loaded() const { return replicas_loaded_; }  // ordered, ever

 private:
  [[nodiscard]] bool BeginRound(Holdings& holdings);
  void PullFreesForward();
  bool Fits(const Holdings& holdings, const MigrationStep& step, const std::vector<int64_t>& loads) const;

  std::deque<MigrationStep> steps_;
  std::vector<std::string> node_ids_;
  int64_t loads_per_node_ = kLoadsPerNode;
  Stage stage_ = Stage::kNone;
  std::set<NodeReplica> frees_;    // of this round, once it is loaded
  std::set<NodeReplica> freeing_;  // empty unless kMove
  uint64_t moved_epoch_ = 0;       // first view without them
  uint64_t rounds_ = 0;
  uint64_t replicas_loaded_ = 0;
};

const char* MigrationStageName(Migration::Stage stage);

}  // namespace atoll::router
