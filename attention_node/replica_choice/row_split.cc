#include "attention_node/replica_choice/row_split.h"

#include <algorithm>
#include <cmath>

namespace atoll::attention_node {
namespace {

constexpr int kSweepsMax = 40;
// Rows moved in a sweep, of all rows, at which nothing is left to gain.
constexpr float kEnough = 2e-4F;
// A hub's neighbours wait for each other: moving somewhat further than even halves the sweeps.
constexpr float kOverstep = 1.5F;

}  // namespace

RowSplit::RowSplit(const ReplicaMap& map, uint32_t salt)
    : map_(map), salt_(salt), load_(map.nodes()), rows_(map.replicas()), base_(map.nodes()), order_(map.copies_max) {
  for (const float speed : map.speed) inverse_speed_.push_back(1 / speed);
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

float RowSplit::EvenPair(int32_t expert) noexcept {
  const int32_t r = map_.first[expert], a = map_.node[r], b = map_.node[r + 1];
  const float step = kOverstep / (inverse_speed_[a] + inverse_speed_[b]);
  float move = (load_[a] * inverse_speed_[a] - load_[b] * inverse_speed_[b]) * step;
  move = std::max(std::min(move, rows_[r]), -rows_[r + 1]);
  rows_[r] -= move;
  rows_[r + 1] += move;
  load_[a] -= move;
  load_[b] += move;
  return std::fabs(move);
}

float RowSplit::WaterFill(int32_t expert, float count) noexcept {
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
  float moved = 0;
  for (int32_t i = 0; i < copies; ++i) {
    const auto [level, r] = order_[i];
    const int32_t node = map_.node[r];
    const float change = std::max(0.0F, (top - level) * map_.speed[node]) - rows_[r];
    rows_[r] += change;
    load_[node] += change;
    moved += std::fabs(change);
  }
  return moved;
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

void RowSplit::Split(std::span<const int32_t> counts, std::span<const float> expected, std::span<int32_t> rows) noexcept {
  Start(counts, expected);
  float total = 0;
  for (const float load : load_) total += load;
  for (int sweep = 0; sweep < kSweepsMax; ++sweep) {
    float moved = 0;
    for (const int32_t e : map_.shared) {
      if (counts[e] == 0) continue;
      moved += map_.first[e + 1] - map_.first[e] == 2 ? EvenPair(e) : WaterFill(e, static_cast<float>(counts[e]));
    }
    if (moved <= kEnough * total) break;
  }
  Round(counts, rows);
}

}  // namespace atoll::attention_node
