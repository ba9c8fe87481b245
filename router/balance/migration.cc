#include "router/balance/migration.h"

#include <algorithm>
#include <utility>

namespace atoll::router {

const char* MigrationStageName(Migration::Stage stage) {
  switch (stage) {
    case Migration::Stage::kNone: return "idle";
    case Migration::Stage::kLoad: return "loading";
    case Migration::Stage::kMove: return "moving";
  }
  return "unknown";
}

bool Migration::Start(const std::vector<MigrationStep>& steps, std::vector<std::string> node_ids, int64_t loads_per_node, Holdings& holdings) {
  GiveUp();
  steps_.assign(steps.begin(), steps.end());
  node_ids_ = std::move(node_ids);
  loads_per_node_ = loads_per_node;
  if (steps_.empty() || BeginRound(holdings)) return true;
  GiveUp();
  return false;
}

void Migration::GiveUp() {
  stage_ = Stage::kNone;
  steps_.clear();
  frees_.clear();
  freeing_.clear();
  moved_epoch_ = 0;
}

bool Migration::Fits(const Holdings& holdings, const MigrationStep& step, const std::vector<int64_t>& loads) const {
  const Holding* node = holdings.Find(node_ids_[step.node]);
  return node != nullptr && node->alive && loads[step.node] < loads_per_node_ &&
         static_cast<int64_t>(node->assigned.size()) + loads[step.node] < node->slots;
}

// The longest run of steps in which no load needs the room of a free, and none undoes another.
bool Migration::BeginRound(Holdings& holdings) {
  std::vector<int64_t> loads(node_ids_.size(), 0);
  std::set<NodeReplica> loaded;
  while (!steps_.empty()) {
    const MigrationStep step = steps_.front();
    const NodeReplica replica{node_ids_[step.node], step.expert};
    if (step.load ? frees_.contains(replica) || !Fits(holdings, step, loads) : loaded.contains(replica)) break;
    if (step.load) {
      ++loads[step.node];
      loaded.insert(replica);
    } else {
      frees_.insert(replica);
    }
    steps_.pop_front();
  }
  if (loaded.empty() && frees_.empty()) return false;
  for (const auto& [node, expert] : loaded) holdings.Add(node, expert);
  replicas_loaded_ += loaded.size();
  ++rounds_;
  stage_ = Stage::kLoad;
  return true;
}

bool Migration::Advance(Holdings& holdings, uint64_t published, uint64_t followed) {
  for (;;) {
    if (stage_ == Stage::kNone) return true;
    if (stage_ == Stage::kLoad) {
      if (!holdings.AllReady()) return true;
      freeing_ = std::exchange(frees_, {});
      stage_ = Stage::kMove;
      moved_epoch_ = 0;
      if (!freeing_.empty()) return true;  // a view without them first
    }
    if (!freeing_.empty()) {
      if (moved_epoch_ == 0) moved_epoch_ = published;
      if (moved_epoch_ == 0 || followed < moved_epoch_) return true;
      for (const auto& [node, expert] : freeing_) holdings.Remove(node, expert);
      freeing_.clear();
    }
    if (steps_.empty()) {
      GiveUp();
    } else if (!BeginRound(holdings)) {
      GiveUp();
      return false;
    }
  }
}

}  // namespace atoll::router
