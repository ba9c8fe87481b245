#include "attention_node/replica_choice/replica_choice.h"

#include <algorithm>
#include <numeric>

namespace atoll::attention_node {
namespace {

constexpr float kAllHot = 4;
constexpr int32_t kRelievesPerNode = 3;

}  // namespace

ReplicaChoice::ReplicaChoice(ReplicaMap map, const ExpertRoofline& roofline, uint32_t salt)
    : map_(std::move(map)), roofline_(roofline), split_(map_, salt), fewest_(map_, salt), other_rows_(map_.replicas()),
      mixed_rows_(map_.replicas()), hot_counts_(map_.experts()), cold_counts_(map_.experts()), busy_(map_.nodes()), node_us_(map_.nodes()),
      first_held_(map_.nodes() + 1, 0), expert_of_(map_.replicas()) {
  for (int32_t e = 0; e < map_.experts(); ++e)
    for (int32_t r = map_.first[e]; r < map_.first[e + 1]; ++r) expert_of_[r] = e;
  for (int32_t n = 0; n < map_.nodes(); ++n) {
    for (int32_t r = 0; r < map_.replicas(); ++r)
      if (map_.node[r] == n && map_.first[expert_of_[r] + 1] - map_.first[expert_of_[r]] > 1) held_.push_back(r);
    first_held_[n + 1] = static_cast<int32_t>(held_.size());
  }
}

float ReplicaChoice::SlowestNodeUs(std::span<const int32_t> rows, int32_t parts) noexcept {
  std::fill(node_us_.begin(), node_us_.end(), 0.0F);
  for (size_t r = 0; r < rows.size(); ++r) {
    if (rows[r] == 0) continue;
    const int32_t node = map_.node[r];
    node_us_[node] += std::max(roofline_.weights_us, static_cast<float>(rows[r]) * static_cast<float>(parts) * roofline_.row_us) / map_.speed[node];
  }
  return *std::max_element(node_us_.begin(), node_us_.end());
}

// hot_count: rows from which an expert takes longer to compute than to read.
void ReplicaChoice::Mix(std::span<const int32_t> counts, std::span<const float> expected, float hot_count, std::span<int32_t> rows) noexcept {
  std::fill(busy_.begin(), busy_.end(), 0.0F);
  for (int32_t e = 0; e < map_.experts(); ++e) {
    const bool hot = static_cast<float>(counts[e]) > hot_count;
    hot_counts_[e] = hot ? counts[e] : 0;
    cold_counts_[e] = hot ? 0 : counts[e];
    const float part = static_cast<float>(hot_counts_[e]) / (hot_count * static_cast<float>(map_.first[e + 1] - map_.first[e]));
    for (int32_t r = map_.first[e]; r < map_.first[e + 1]; ++r) busy_[map_.node[r]] += part;
  }
  fewest_.Choose(cold_counts_, busy_, rows);
  for (int32_t n = 0; n < map_.nodes(); ++n) busy_[n] = expected.empty() ? 0 : expected[n];
  for (int32_t r = 0; r < map_.replicas(); ++r) busy_[map_.node[r]] += rows[r] > 0 ? hot_count : 0;
  split_.Split(hot_counts_, busy_, mixed_rows_);
  for (int32_t r = 0; r < map_.replicas(); ++r) rows[r] += mixed_rows_[r];
}

float ReplicaChoice::PartUs(int32_t node, int32_t rows, int32_t parts) const noexcept {
  if (rows == 0) return 0;
  return std::max(roofline_.weights_us, static_cast<float>(rows) * static_cast<float>(parts) * roofline_.row_us) / map_.speed[node];
}

// Moves all or some rows of one replica on the slowest node to another replica of the same expert, where that leaves both
// nodes faster than the slowest was. A part that is too small to pay for reading its weights goes that way.
bool ReplicaChoice::Relieve(int32_t slow, int32_t parts, std::span<int32_t> rows) noexcept {
  int32_t best_from = -1, best_to = -1, best_moved = 0;
  float best_us = node_us_[slow] * 0.9999F;
  for (int32_t k = first_held_[slow]; k < first_held_[slow + 1]; ++k) {
    const int32_t from = held_[k], e = expert_of_[from];
    if (rows[from] == 0) continue;
    for (int32_t to = map_.first[e]; to < map_.first[e + 1]; ++to) {
      const int32_t node = map_.node[to];
      if (to == from || node_us_[node] >= best_us) continue;
      const float apart_us = (node_us_[slow] - node_us_[node]) / (1 / map_.speed[slow] + 1 / map_.speed[node]);
      const auto some = std::min(rows[from], static_cast<int32_t>(apart_us / (roofline_.row_us * static_cast<float>(parts))));
      for (const int32_t moved : {rows[from], some}) {
        const float slow_us = node_us_[slow] - PartUs(slow, rows[from], parts) + PartUs(slow, rows[from] - moved, parts);
        const float other_us = node_us_[node] - PartUs(node, rows[to], parts) + PartUs(node, rows[to] + moved, parts);
        if (std::max(slow_us, other_us) >= best_us) continue;
        best_us = std::max(slow_us, other_us);
        best_from = from, best_to = to, best_moved = moved;
      }
    }
  }
  if (best_from < 0) return false;
  rows[best_from] -= best_moved;
  rows[best_to] += best_moved;
  return true;
}

void ReplicaChoice::RelieveAll(int32_t parts, std::span<int32_t> rows) noexcept {
  for (int32_t step = 0; step < kRelievesPerNode * map_.nodes(); ++step) {
    SlowestNodeUs(rows, parts);
    const auto slow = static_cast<int32_t>(std::max_element(node_us_.begin(), node_us_.end()) - node_us_.begin());
    if (!Relieve(slow, parts, rows)) return;
  }
}

SplitKind ReplicaChoice::Choose(std::span<const int32_t> counts, std::span<const float> expected, int32_t parts,
                                std::span<int32_t> rows) noexcept {
  const float hot_count = roofline_.weights_us / (roofline_.row_us * static_cast<float>(parts));
  const auto total = static_cast<float>(std::accumulate(counts.begin(), counts.end(), int64_t{0}));
  // When even an expert with the mean count is bound by computing several times over, the rows alone decide.
  if (total > kAllHot * hot_count * static_cast<float>(map_.experts())) {
    split_.Split(counts, expected, rows);
    return SplitKind::kRows;
  }
  fewest_.Choose(counts, {}, rows);
  const int32_t most = *std::max_element(counts.begin(), counts.end());
  SplitKind best = SplitKind::kFewestActive;
  if (static_cast<float>(most) <= hot_count) return best;
  float best_us = SlowestNodeUs(rows, parts);
  const auto take = [&](SplitKind kind) {
    RelieveAll(parts, other_rows_);
    const float us = SlowestNodeUs(other_rows_, parts);
    if (us >= best_us) return;
    std::copy(other_rows_.begin(), other_rows_.end(), rows.begin());
    best_us = us;
    best = kind;
  };
  Mix(counts, expected, hot_count, other_rows_);
  take(SplitKind::kMixed);
  split_.Split(counts, expected, other_rows_);
  take(SplitKind::kRows);
  return best;
}

}  // namespace atoll::attention_node
