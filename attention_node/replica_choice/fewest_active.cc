#include "attention_node/replica_choice/fewest_active.h"

#include <algorithm>

namespace atoll::attention_node {
namespace {

constexpr int32_t kUnseen = -1, kStart = -2;
constexpr float kLeastGain = 1e-4F;  // of a level, so that rounding never looks like one

}  // namespace

FewestActive::FewestActive(const ReplicaMap& map, uint32_t salt)
    : map_(map), salt_(salt), by_copies_(map.shared), replica_(map.experts()), active_(map.nodes()), first_held_(map.nodes() + 1, 0),
      expert_of_(map.replicas()), came_by_(map.nodes()), queue_(map.nodes()) {
  std::stable_sort(by_copies_.begin(), by_copies_.end(),
                   [&](int32_t a, int32_t b) { return map.first[a + 1] - map.first[a] < map.first[b + 1] - map.first[b]; });
  for (int32_t e = 0; e < map.experts(); ++e) std::fill(&expert_of_[0] + map.first[e], &expert_of_[0] + map.first[e + 1], e);
  for (int32_t n = 0; n < map.nodes(); ++n) {
    for (const int32_t e : map.shared)
      for (int32_t r = map.first[e]; r < map.first[e + 1]; ++r)
        if (map.node[r] == n) held_.push_back(r);
    first_held_[n + 1] = static_cast<int32_t>(held_.size());
  }
}

void FewestActive::ChooseGreedily(std::span<const int32_t> counts) noexcept {
  for (const int32_t e : map_.single) {
    replica_[e] = counts[e] > 0 ? map_.first[e] : -1;
    if (counts[e] > 0) ++active_[map_.node[map_.first[e]]];
  }
  for (const int32_t e : by_copies_) {
    replica_[e] = -1;
    if (counts[e] == 0) continue;
    const int32_t first = map_.first[e], copies = map_.first[e + 1] - first;
    const auto start = static_cast<int32_t>((salt_ + static_cast<uint32_t>(e)) % static_cast<uint32_t>(copies));
    int32_t best = -1;
    for (int32_t i = 0; i < copies; ++i) {
      const int32_t r = first + (start + i) % copies, node = map_.node[r];
      if (best < 0 || Level(node, 1) < Level(map_.node[best], 1)) best = r;
    }
    replica_[e] = best;
    ++active_[map_.node[best]];
  }
}

// One expert less on `node`, by moving one along a path of nodes to one that stays emptier than `node` was.
bool FewestActive::Lower(int32_t node) noexcept {
  std::fill(came_by_.begin(), came_by_.end(), kUnseen);
  const float limit = Level(node, 0) * (1 - kLeastGain);
  size_t end = 0;
  queue_[end++] = node;
  came_by_[node] = kStart;
  for (size_t i = 0; i < end; ++i) {
    const int32_t here = queue_[i];
    for (int32_t k = first_held_[here]; k < first_held_[here + 1]; ++k) {
      const int32_t e = expert_of_[held_[k]];
      if (replica_[e] != held_[k]) continue;
      for (int32_t r = map_.first[e]; r < map_.first[e + 1]; ++r) {
        const int32_t there = map_.node[r];
        if (came_by_[there] != kUnseen) continue;
        came_by_[there] = r;
        if (Level(there, 1) < limit) return MoveBack(there), true;
        queue_[end++] = there;
      }
    }
  }
  return false;
}

void FewestActive::MoveBack(int32_t node) noexcept {
  ++active_[node];
  while (came_by_[node] != kStart) {
    const int32_t r = came_by_[node], e = expert_of_[r];
    node = map_.node[replica_[e]];
    replica_[e] = r;
  }
  --active_[node];
}

void FewestActive::Settle() noexcept {
  // Every gain lowers one node, so that there are no more of them than experts.
  for (size_t gains = 0; gains < by_copies_.size(); ++gains) {
    int32_t fullest = 0;
    for (int32_t n = 1; n < map_.nodes(); ++n)
      if (Level(n, 0) > Level(fullest, 0)) fullest = n;
    if (!Lower(fullest)) return;
  }
}

void FewestActive::Choose(std::span<const int32_t> counts, std::span<const float> busy, std::span<int32_t> rows) noexcept {
  if (busy.empty()) {
    std::fill(active_.begin(), active_.end(), 0.0F);
  } else {
    std::copy(busy.begin(), busy.end(), active_.begin());
  }
  ChooseGreedily(counts);
  Settle();
  std::fill(rows.begin(), rows.end(), 0);
  for (int32_t e = 0; e < map_.experts(); ++e)
    if (replica_[e] >= 0) rows[replica_[e]] = counts[e];
}

}  // namespace atoll::attention_node
