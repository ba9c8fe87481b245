#include "router/placement/search/climber.h"

#include <algorithm>
#include <cmath>

namespace atoll::router {
namespace {

constexpr float kHot = 0.999F;         // of the fullest node's level: the set that holds a batch back
constexpr int kDrawsMax = 40;          // until a change is one that can be
constexpr double kBlockSlack = 1.5e-3; // a block may get this much worse before the others are not asked any more

}  // namespace

Climber::Climber(std::vector<Block> blocks, const LayerNodes& nodes, const LayerPlacement& start, const ClimbRules& rules)
    : blocks_(std::move(blocks)), nodes_(nodes), rules_(rules) {
  splits_.reserve(blocks_.size());
  for (const Block& block : blocks_) {
    splits_.emplace_back(block.batches, nodes, start);
    score_ += block.weight * splits_.back().score();
  }
}

// A random node of the fullest ones, or of the others.
int32_t Climber::PickNode(const LaneSplit& split, int lane, bool hot, SeededRandom& random) const {
  float highest = 0;
  for (int32_t n = 0; n < nodes_.count(); ++n) highest = std::max(highest, split.level(n, lane));
  int32_t picked = -1, seen = 0;
  for (int32_t n = 0; n < nodes_.count(); ++n)
    if (split.slots_of(n) > 0 && (split.level(n, lane) >= highest * kHot) == hot && random.Below(++seen) == 0) picked = n;
  return picked;
}

// What holds a batch back is its set of fullest nodes, so every change crosses the border of that set.
bool Climber::Draw(SeededRandom& random, Change* change) const {
  for (int i = 0; i < kDrawsMax; ++i) {
    const LaneSplit& split = splits_[random.Below(static_cast<int32_t>(splits_.size()))];
    const int lane = random.Below(kLanes);
    const int32_t hot = PickNode(split, lane, true, random), cold = PickNode(split, lane, false, random);
    if (hot < 0 || cold < 0) continue;
    change->copy = random.Below(3) == 0;
    change->from = split.first_slot(hot) + random.Below(split.slots_of(hot));
    change->to = split.first_slot(cold) + random.Below(split.slots_of(cold));
    if (Allowed(split, *change, lane)) return true;
  }
  return false;
}

bool Climber::Allowed(const LaneSplit& split, const Change& change, int lane) const {
  const int32_t out = split.expert_in(change.from), in = split.expert_in(change.to);
  if (out < 0) return false;
  const int32_t hot = split.node_of(change.from), cold = split.node_of(change.to);
  if (split.Holds(out, cold)) return false;
  if (change.copy) return in < 0 || (split.copies(in) > rules_.min_replicas && StaysCovered(split, change.to, -1));
  if (in >= 0 && split.Holds(in, hot)) return false;
  // Of two experts with one replica each, only the heavier may leave the fuller node.
  if (split.copies(out) == 1 && (in < 0 || split.copies(in) == 1) && in >= 0 && split.load(out, lane) <= split.load(in, lane)) return false;
  return StaysCovered(split, change.from, cold) && StaysCovered(split, change.to, hot);
}

// Where coverage is asked for: the expert in slot `leaving` still has replicas in two failure domains when that one moves
// to `node` (-1: goes away).
bool Climber::StaysCovered(const LaneSplit& split, int32_t leaving, int32_t node) const {
  const int32_t expert = split.expert_in(leaving);
  if (rules_.min_replicas < 2 || expert < 0 || split.copies(expert) < 2) return true;
  int32_t first = node < 0 ? -1 : nodes_.domain[node];
  for (const int32_t slot : split.SlotsOf(expert)) {
    if (slot == leaving) continue;
    const int32_t domain = nodes_.domain[split.node_of(slot)];
    if (first >= 0 && domain != first) return true;
    first = domain;
  }
  return false;
}

bool Climber::Try(LaneSplit& split, const Change& change) const {
  return change.copy ? split.TryReplace(change.to, split.expert_in(change.from)) : split.TrySwap(change.from, change.to);
}

int32_t Climber::LoadsOf(const Change& change) const { return change.copy || splits_[0].expert_in(change.to) < 0 ? 1 : 2; }

// The score with the change made in the first `tried` splits: all of them, or fewer when it is worse for certain (then
// the score is that of no use, infinity).
double Climber::TryAll(const Change& change, size_t* tried) {
  double score = 0, before = 0;
  for (*tried = 0; *tried < splits_.size();) {
    LaneSplit& split = splits_[*tried];
    const double weight = blocks_[*tried].weight;
    before += weight * split.score();
    if (!Try(split, change)) return HUGE_VAL;
    ++*tried;
    score += weight * split.score();
    if (score > before + kBlockSlack * weight) return HUGE_VAL;
  }
  return score;
}

void Climber::Undo(size_t tried) {
  for (size_t i = 0; i < tried; ++i) splits_[i].Undo();
}

bool Climber::Step(SeededRandom& random, double gain_min, int32_t* loads) {
  *loads = 0;
  Change change;
  if (!Draw(random, &change)) return false;
  const int32_t needed = LoadsOf(change);
  size_t tried = 0;
  const double score = TryAll(change, &tried);
  if (score < score_ - gain_min * needed) {
    score_ = score;
    *loads = needed;
  } else {
    Undo(tried);
  }
  return true;
}

int32_t Climber::StepBest(SeededRandom& random, int32_t draws, double gain_min, int32_t loads_max) {
  Change best;
  double best_gain = gain_min;
  int32_t best_loads = 0;
  for (int32_t i = 0; i < draws; ++i) {
    Change change;
    if (!Draw(random, &change)) break;
    const int32_t needed = LoadsOf(change);
    if (needed > loads_max) continue;
    size_t tried = 0;
    const double gain = (score_ - TryAll(change, &tried)) / needed;
    Undo(tried);
    if (gain <= best_gain) continue;
    best_gain = gain;
    best = change;
    best_loads = needed;
  }
  size_t tried = 0;
  if (best_loads > 0) score_ = TryAll(best, &tried);
  return best_loads;
}

}  // namespace atoll::router
