#include "attention_node/replica_choice/row_split.h"

#include <algorithm>
#include <cmath>

namespace atoll::attention_node {
namespace {

constexpr int kSweepsMax = 64, kSweepsPerLook = 4;
// Of the mean level: how near to it the fullest node ends the sweeps, and the gain of a look below which they end.
constexpr float kEven = 3e-4F, kGainMin = 3e-4F;
// A hub's neighbours wait for each other: moving somewhat further than even halves the sweeps.
constexpr float kOverstep = 1.5F;
// Up to here an expert's replicas are evened pair by pair; all at once by sorting where there are more.
constexpr int32_t kPairedCopies = 4;

}  // namespace

RowSplit::RowSplit(const ReplicaMap& map, uint32_t salt)
    : map_(map), salt_(salt), load_(map.nodes()), rows_(map.replicas()), base_(map.nodes()), came_by_(map.nodes()), queue_(map.nodes()), order_(map.copies_max) {
  for (const float speed : map.speed) inverse_speed_.push_back(1 / speed);
  first_held_.push_back(0);
  for (int32_t n = 0; n < map.nodes(); ++n) {
    for (const int32_t e : map.shared)
      for (int32_t r = map.first[e]; r < map.first[e + 1]; ++r)
        if (map.node[r] == n) held_.push_back({r, map.first[e], map.first[e + 1]});
    first_held_.push_back(static_cast<int32_t>(held_.size()));
  }
  for (const int32_t e : map.shared) {
    if (map.first[e + 1] - map.first[e] > kPairedCopies) {
      many_.push_back(e);
      continue;
    }
    for (int32_t a = map.first[e]; a < map.first[e + 1]; ++a)
      for (int32_t b = a + 1; b < map.first[e + 1]; ++b) AddPair(a, b);
  }
}

void RowSplit::AddPair(int32_t row_a, int32_t row_b) {
  const int32_t a = map_.node[row_a], b = map_.node[row_b];
  const float step = kOverstep / (inverse_speed_[a] + inverse_speed_[b]);
  pairs_.push_back({row_a, row_b, a, b, inverse_speed_[a] * step, inverse_speed_[b] * step});
}

void RowSplit::Start(std::span<const int32_t> counts, std::span<const float> expected) noexcept {
  if (expected.empty()) {
    std::fill(base_.begin(), base_.end(), 0.0F);
  } else {
    std::copy(expected.begin(), expected.end(), base_.begin());
  }
  for (const int32_t e : map_.single) {
    const int32_t r = map_.first[e];
    rows_[r] = static_cast<float>(counts[e]);
    base_[map_.node[r]] += rows_[r];
  }
  std::copy(base_.begin(), base_.end(), load_.begin());
  for (const int32_t e : map_.shared) {
    const int32_t first = map_.first[e], last = map_.first[e + 1];
    const float part = static_cast<float>(counts[e]) / static_cast<float>(last - first);
    for (int32_t r = first; r < last; ++r) {
      rows_[r] = part;
      load_[map_.node[r]] += part;
    }
  }
}

// Between two replicas of one expert, as far as each has rows to give. No branch: the order of sizes is random.
void RowSplit::EvenPair(const Pair& pair) noexcept {
  float &load_a = load_[pair.node_a], &load_b = load_[pair.node_b], &rows_a = rows_[pair.row_a], &rows_b = rows_[pair.row_b];
  float move = load_a * pair.share_a - load_b * pair.share_b;
  move = std::max(std::min(move, rows_a), -rows_b);
  rows_a -= move;
  rows_b += move;
  load_a -= move;
  load_b += move;
}

void RowSplit::WaterFill(int32_t expert, float count) noexcept {
  const int32_t first = map_.first[expert], copies = map_.first[expert + 1] - first;
  for (int32_t i = 0; i < copies; ++i) {
    const int32_t node = map_.node[first + i];
    const std::pair<float, int32_t> entry{(load_[node] - rows_[first + i]) * inverse_speed_[node], first + i};
    int32_t at = i;
    for (; at > 0 && order_[at - 1].first > entry.first; --at) order_[at] = order_[at - 1];
    order_[at] = entry;
  }
  float speed = 0, filled = 0, top = 0;
  for (int32_t i = 0; i < copies && (i == 0 || order_[i].first < top); ++i) {
    const float of_node = map_.speed[map_.node[order_[i].second]];
    speed += of_node;
    filled += order_[i].first * of_node;
    top = (count + filled) / speed;
  }
  for (int32_t i = 0; i < copies; ++i) {
    const auto [level, r] = order_[i];
    const int32_t node = map_.node[r];
    const float change = std::max(0.0F, (top - level) * map_.speed[node]) - rows_[r];
    rows_[r] += change;
    load_[node] += change;
  }
}

// Whole rows: everybody gets the whole part of its rows, and what is left of an expert goes row by row to its emptiest
// replica.
void RowSplit::Round(std::span<const int32_t> counts, std::span<int32_t> rows) noexcept {
  std::copy(base_.begin(), base_.end(), load_.begin());
  for (const int32_t e : map_.single) rows[map_.first[e]] = counts[e];
  for (const int32_t e : map_.shared) {
    int32_t left = counts[e];
    for (int32_t r = map_.first[e]; r < map_.first[e + 1]; ++r) {
      rows[r] = std::min(left, static_cast<int32_t>(rows_[r]));
      left -= rows[r];
      load_[map_.node[r]] += static_cast<float>(rows[r]);
    }
  }
  for (const int32_t e : map_.shared) {
    const int32_t first = map_.first[e], copies = map_.first[e + 1] - first;
    int32_t left = counts[e];
    for (int32_t i = 0; i < copies; ++i) left -= rows[first + i];
    const auto start = static_cast<int32_t>((salt_ + static_cast<uint32_t>(e)) % static_cast<uint32_t>(copies));
    for (; left > 0; --left) {
      int32_t best = -1;
      float best_level = 0;
      for (int32_t i = 0; i < copies; ++i) {
        const int32_t r = first + (start + i) % copies, node = map_.node[r];
        const float level = (load_[node] + 1) * inverse_speed_[node];
        if (best < 0 || level < best_level) best = r, best_level = level;
      }
      ++rows[best];
      load_[map_.node[best]] += 1;
    }
  }
}

// Rounding leaves some nodes a row above their neighbours: the fullest one hands a row on, from node to node over shared
// experts, to one that stays below it, as long as there is one and the mean is still to be reached.
void RowSplit::EvenRounded(float mean, std::span<int32_t> rows) noexcept {
  for (int32_t step = 0; step < map_.nodes(); ++step) {
    int32_t fullest = 0;
    for (int32_t n = 1; n < map_.nodes(); ++n)
      if (load_[n] * inverse_speed_[n] > load_[fullest] * inverse_speed_[fullest]) fullest = n;
    if ((load_[fullest] - 1) * inverse_speed_[fullest] < mean) return;
    const int32_t last = FindRoom(fullest, rows);
    if (last < 0) return;
    load_[last] += 1;
    load_[fullest] -= 1;
    for (int32_t node = last; node != fullest; node = map_.node[came_by_[node].from]) {
      --rows[came_by_[node].from];
      ++rows[came_by_[node].to];
    }
  }
}

// Breadth first from `fullest`; -1 where every node that can be reached would be as full.
int32_t RowSplit::FindRoom(int32_t fullest, std::span<const int32_t> rows) noexcept {
  std::fill(came_by_.begin(), came_by_.end(), Hop{-1, -1});
  const float highest = load_[fullest] * inverse_speed_[fullest];
  size_t end = 0;
  queue_[end++] = fullest;
  came_by_[fullest].from = 0;
  for (size_t i = 0; i < end; ++i) {
    for (int32_t k = first_held_[queue_[i]]; k < first_held_[queue_[i] + 1]; ++k) {
      if (rows[held_[k].row] == 0) continue;
      for (int32_t r = held_[k].first; r < held_[k].last; ++r) {
        const int32_t node = map_.node[r];
        if (came_by_[node].from >= 0) continue;
        came_by_[node] = {held_[k].row, r};
        if ((load_[node] + 1) * inverse_speed_[node] < highest) return node;
        queue_[end++] = node;
      }
    }
  }
  return -1;
}

void RowSplit::Split(std::span<const int32_t> counts, std::span<const float> expected, std::span<int32_t> rows) noexcept {
  Start(counts, expected);
  float total = 0, best = HUGE_VALF;
  for (const float load : load_) total += load;
  const float mean = total / static_cast<float>(map_.nodes());
  for (int sweep = 1; sweep <= kSweepsMax; ++sweep) {
    for (const Pair& pair : pairs_) EvenPair(pair);
    for (const int32_t e : many_) WaterFill(e, static_cast<float>(counts[e]));
    if (sweep % kSweepsPerLook != 0) continue;
    const float highest = HighestLevel();
    if (highest <= mean * (1 + kEven) || highest > best - mean * kGainMin) break;
    best = highest;
  }
  Round(counts, rows);
  EvenRounded(mean, rows);
}

float RowSplit::HighestLevel() const noexcept {
  float highest = 0;
  for (size_t n = 0; n < load_.size(); ++n) highest = std::max(highest, load_[n] * inverse_speed_[n]);
  return highest;
}

}  // namespace atoll::attention_node
