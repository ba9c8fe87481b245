#include "router/placement/search/lane_split.h"

#include <algorithm>

namespace atoll::router {
namespace {

constexpr int kFirstSweeps = 40, kSweepsPerChange = 8;

// a - move, b + move, as far as each has rows to give. The loop is the vector: 16 independent lanes.
inline void EvenPair(float* __restrict load_a, float* __restrict load_b, float* __restrict rows_a, float* __restrict rows_b,
                     float inverse_a, float inverse_b) {
  const float step = 1.0F / (inverse_a + inverse_b);
  for (int i = 0; i < kLanes; ++i) {
    float move = (load_a[i] * inverse_a - load_b[i] * inverse_b) * step;
    move = move < rows_a[i] ? move : rows_a[i];
    move = move > -rows_b[i] ? move : -rows_b[i];
    rows_a[i] -= move;
    rows_b[i] += move;
    load_a[i] -= move;
    load_b[i] += move;
  }
}

}  // namespace

LaneSplit::LaneSplit(const LaneBatches& batches, const LayerNodes& nodes, const LayerPlacement& placement)
    : batches_(batches), nodes_(nodes), first_slot_(nodes.count() + 1, 0), slots_of_expert_(placement.experts()), load_(nodes.count()) {
  const double mean_speed = nodes.speed_total() / nodes.count();
  for (int32_t n = 0; n < nodes.count(); ++n) {
    first_slot_[n + 1] = first_slot_[n] + nodes.slots[n];
    node_.insert(node_.end(), nodes.slots[n], n);
    inverse_speed_.push_back(static_cast<float>(mean_speed / nodes.speed[n]));
  }
  expert_.assign(node_.size(), -1);
  rows_.resize(node_.size());
  std::vector<int32_t> next(first_slot_.begin(), first_slot_.end() - 1);
  for (int32_t e = 0; e < placement.experts(); ++e)
    for (const int32_t node : placement.HostsOf(e)) Give(next[node]++, e);
  for (int32_t e = 0; e < placement.experts(); ++e) SpreadEvenly(e);
  Balance(kFirstSweeps);
  Save();
}

bool LaneSplit::Holds(int32_t expert, int32_t node) const {
  const std::vector<int32_t>& slots = slots_of_expert_[expert];
  return std::any_of(slots.begin(), slots.end(), [&](int32_t slot) { return node_[slot] == node; });
}

LayerPlacement LaneSplit::placement() const {
  std::vector<std::vector<int32_t>> hosts(slots_of_expert_.size());
  for (size_t e = 0; e < hosts.size(); ++e)
    for (const int32_t slot : slots_of_expert_[e]) hosts[e].push_back(node_[slot]);
  return PlacementOfHosts(hosts);
}

void LaneSplit::Save() {
  saved_rows_ = rows_;
  saved_load_ = load_;
  saved_score_ = score_;
  changes_.clear();
}

void LaneSplit::Take(int32_t slot) {
  changes_.push_back({slot, expert_[slot]});
  if (expert_[slot] < 0) return;
  std::vector<int32_t>& slots = slots_of_expert_[expert_[slot]];
  slots.erase(std::find(slots.begin(), slots.end(), slot));
  expert_[slot] = -1;
}

void LaneSplit::Give(int32_t slot, int32_t expert) {
  expert_[slot] = expert;
  if (expert >= 0) slots_of_expert_[expert].push_back(slot);
}

// An expert whose replicas change leaves all its nodes first and comes back spread evenly.
void LaneSplit::Lift(int32_t expert) {
  for (const int32_t slot : slots_of_expert_[expert]) {
    for (int i = 0; i < kLanes; ++i) load_[node_[slot]].at[i] -= rows_[slot].at[i];
    rows_[slot] = {};
  }
}

void LaneSplit::SpreadEvenly(int32_t expert) {
  const float part = 1.0F / static_cast<float>(slots_of_expert_[expert].size());
  for (const int32_t slot : slots_of_expert_[expert]) {
    for (int i = 0; i < kLanes; ++i) {
      rows_[slot].at[i] = batches_.loads[expert].at[i] * part;
      load_[node_[slot]].at[i] += rows_[slot].at[i];
    }
  }
}

// Every pair of an expert's replicas meets within copies - 1 sweeps.
void LaneSplit::Sweep(int sweep) {
  for (const std::vector<int32_t>& slots : slots_of_expert_) {
    const auto copies = static_cast<int32_t>(slots.size());
    if (copies < 2) continue;
    const int32_t stride = 1 + sweep % (copies - 1);
    for (int32_t i = 0; i < (copies == 2 ? 1 : copies); ++i) {
      const int32_t a = slots[i], b = slots[(i + stride) % copies];
      EvenPair(load_[node_[a]].at, load_[node_[b]].at, rows_[a].at, rows_[b].at, inverse_speed_[node_[a]], inverse_speed_[node_[b]]);
    }
  }
}

void LaneSplit::Balance(int sweeps) {
  for (int sweep = 0; sweep < sweeps; ++sweep) Sweep(sweep);
  Lanes highest;
  for (size_t n = 0; n < load_.size(); ++n)
    for (int i = 0; i < kLanes; ++i) highest.at[i] = std::max(highest.at[i], load_[n].at[i] * inverse_speed_[n]);
  score_ = 0;
  for (int i = 0; i < kLanes; ++i) score_ += highest.at[i] / kLanes;
}

bool LaneSplit::TrySwap(int32_t a, int32_t b) {
  const int32_t in_a = expert_[a], in_b = expert_[b];
  if (in_a == in_b || node_[a] == node_[b]) return false;
  if ((in_a >= 0 && Holds(in_a, node_[b])) || (in_b >= 0 && Holds(in_b, node_[a]))) return false;
  Save();
  if (in_a >= 0) Lift(in_a);
  if (in_b >= 0) Lift(in_b);
  Take(a);
  Take(b);
  Give(a, in_b);
  Give(b, in_a);
  if (in_a >= 0) SpreadEvenly(in_a);
  if (in_b >= 0) SpreadEvenly(in_b);
  Balance(kSweepsPerChange);
  return true;
}

bool LaneSplit::TryReplace(int32_t slot, int32_t expert) {
  const int32_t old = expert_[slot];
  if (old == expert || Holds(expert, node_[slot]) || (old >= 0 && copies(old) < 2)) return false;
  Save();
  Lift(expert);
  if (old >= 0) Lift(old);
  Take(slot);
  Give(slot, expert);
  SpreadEvenly(expert);
  if (old >= 0) SpreadEvenly(old);
  Balance(kSweepsPerChange);
  return true;
}

void LaneSplit::Undo() {
  const std::vector<Change> changes = std::move(changes_);
  for (const Change& change : changes) Take(change.slot);
  for (const Change& change : changes) Give(change.slot, change.expert);
  changes_.clear();
  rows_ = saved_rows_;
  load_ = saved_load_;
  score_ = saved_score_;
}

}  // namespace atoll::router
