#include "router/balance/migration.h"

#include <algorithm>
#include <utility>

namespace atoll::router {
namespace {

constexpr int64_t kFreesPerNode = 8;  // in one round: second copies that are missing until the next one
constexpr size_t kStepsLookedAt = 4096;

}  // namespace

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

// Full nodes give and take one replica at a time in the order of steps, which would make a round of each. A free moves ahead
// of steps on other experts only: what its own expert goes through stays as it was planned, and memory only gains.
void Migration::PullFreesForward() {
  std::vector<int64_t> frees(node_ids_.size(), 0);
  std::set<model::ExpertId> touched;
  std::deque<MigrationStep> rest;
  size_t looked_at = 0;
  for (const MigrationStep& step : steps_) {
    const bool pulled = ++looked_at <= kStepsLookedAt && !step.load && frees[step.node] < kFreesPerNode && touched.insert(step.expert).second;
    if (pulled) {
      ++frees[step.node];
      frees_.insert({node_ids_[step.node], step.expert});
    } else {
      touched.insert(step.expert);
      rest.push_back(step);
    }
  }
  steps_ = std::move(rest);
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
  PullFreesForward();
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
