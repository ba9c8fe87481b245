#include "attention_node/routing_bias/near_ties.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

namespace atoll::attention_node {
namespace {

// Better by `biased`, then by lower id: the order of a row's slots.
struct BySelection {
  const float* biased;
  bool operator()(int32_t a, int32_t b) const { return biased[a] > biased[b] || (biased[a] == biased[b] && a < b); }
};

}  // namespace

NearTies::NearTies(ReplicaMap map, uint32_t salt) : map_(std::move(map)), split_(map_, salt) {
  const int32_t nodes = map_.nodes(), experts = map_.experts();
  first_held_.assign(nodes + 1, 0);
  held_.resize(map_.replicas());
  expert_of_.resize(map_.replicas());
  for (int32_t e = 0; e < experts; ++e)
    for (int32_t r = map_.first[e]; r < map_.first[e + 1]; ++r) expert_of_[r] = e;
  for (const int32_t node : map_.node) ++first_held_[node + 1];
  for (int32_t n = 0; n < nodes; ++n) first_held_[n + 1] += first_held_[n];
  std::vector<int32_t> next(first_held_.begin(), first_held_.end() - 1);
  for (int32_t r = 0; r < map_.replicas(); ++r) held_[next[map_.node[r]]++] = r;
  counts_.resize(experts);
  rows_.resize(map_.replicas());
  load_.resize(nodes);
  came_by_.resize(nodes);
  queue_.reserve(nodes);
}

NearTieOutcome NearTies::Reroute(ConstMatrixView biased, std::span<int32_t> experts, const NearTieLimits& limits,
                                 std::vector<int32_t>& changed_rows) {
  changed_rows.clear();
  NearTieOutcome outcome;
  if (experts.empty()) return outcome;
  CountAndSplit(experts);
  outcome.busiest_before = outcome.busiest_after = Level(Busiest()) / mean_;
  if (limits.changes_max <= 0 || !(limits.epsilon > 0)) return outcome;
  if (static_cast<int64_t>(experts.size()) < kPairsPerNodeMin * map_.nodes()) return outcome;
  FindCandidates(biased, experts, limits.epsilon);
  swapped_.assign(biased.rows, -1);
  int64_t left = limits.changes_max;
  for (int32_t node = Busiest(); Level(node, -1) >= mean_; node = Busiest()) {
    if (PassOn(node)) continue;
    if (left == 0 || !Swap(node)) break;
    --left;
  }
  const size_t k = experts.size() / static_cast<size_t>(biased.rows);
  for (int32_t row = 0; row < biased.rows; ++row) {
    if (swapped_[row] < 0) continue;
    const Candidate& swap = candidates_[swapped_[row]];
    const std::span<int32_t> chosen = experts.subspan(row * k, k);
    *std::find(chosen.begin(), chosen.end(), swap.expert) = swap.other;
    std::sort(chosen.begin(), chosen.end(), BySelection{biased.RowAs<float>(row)});
    changed_rows.push_back(row);
  }
  outcome.changed = static_cast<int64_t>(changed_rows.size());
  outcome.busiest_after = Level(Busiest()) / mean_;
  return outcome;
}

void NearTies::CountAndSplit(std::span<const int32_t> experts) {
  std::fill(counts_.begin(), counts_.end(), 0);
  for (const int32_t e : experts) ++counts_[e];
  split_.Split(counts_, {}, rows_);
  std::fill(load_.begin(), load_.end(), 0.0F);
  for (int32_t r = 0; r < map_.replicas(); ++r) load_[map_.node[r]] += static_cast<float>(rows_[r]);
  float speed = 0;
  for (const float of_node : map_.speed) speed += of_node;
  mean_ = static_cast<float>(experts.size()) / speed;
}

// Only from nodes above the mean, so that a batch that lies well costs one pass over the scores at most.
void NearTies::FindCandidates(ConstMatrixView biased, std::span<const int32_t> experts, float epsilon) {
  candidates_.clear();
  const size_t k = experts.size() / static_cast<size_t>(biased.rows);
  for (int32_t row = 0; row < biased.rows; ++row) AddCandidatesOfRow(biased.RowAs<float>(row), experts.subspan(row * k, k), row, epsilon);
  std::sort(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
    return std::tie(a.expert, a.gap, a.row, a.other) < std::tie(b.expert, b.gap, b.row, b.other);
  });
  first_candidate_.assign(map_.experts() + 1, 0);
  for (const Candidate& candidate : candidates_) ++first_candidate_[candidate.expert + 1];
  for (int32_t e = 0; e < map_.experts(); ++e) first_candidate_[e + 1] += first_candidate_[e];
}

void NearTies::AddCandidatesOfRow(const float* biased, std::span<const int32_t> chosen, int32_t row, float epsilon) {
  float least = std::numeric_limits<float>::infinity();
  for (const int32_t e : chosen) least = std::min(least, biased[e]);
  others_.clear();
  for (int32_t e = 0; e < map_.experts(); ++e) {
    if (biased[e] >= least - epsilon && std::find(chosen.begin(), chosen.end(), e) == chosen.end()) others_.push_back(e);
  }
  const auto level_of = [&](int32_t e, bool highest) {
    float level = Level(map_.node[map_.first[e]]);
    for (int32_t r = map_.first[e] + 1; r < map_.first[e + 1]; ++r) {
      const float other = Level(map_.node[r]);
      level = highest ? std::max(level, other) : std::min(level, other);
    }
    return level;
  };
  for (const int32_t other : others_) {
    if (level_of(other, false) >= mean_) continue;
    for (const int32_t e : chosen) {
      const float gap = biased[e] - biased[other];
      if (gap <= epsilon && level_of(e, true) > mean_) candidates_.push_back({gap, row, e, other});
    }
  }
}

int32_t NearTies::Busiest() const {
  int32_t busiest = 0;
  for (int32_t n = 1; n < map_.nodes(); ++n)
    if (Level(n) > Level(busiest)) busiest = n;
  return busiest;
}

// The nodes to which `node` can hand a row on over replicas, itself first.
void NearTies::Reach(int32_t node) {
  std::fill(came_by_.begin(), came_by_.end(), Hop{-1, -1});
  queue_.assign(1, node);
  came_by_[node] = {0, 0};
  for (size_t at = 0; at < queue_.size(); ++at) {
    for (int32_t i = first_held_[queue_[at]]; i < first_held_[queue_[at] + 1]; ++i) {
      const int32_t from = held_[i], e = expert_of_[from];
      if (rows_[from] == 0) continue;
      for (int32_t to = map_.first[e]; to < map_.first[e + 1]; ++to) {
        if (came_by_[map_.node[to]].from >= 0) continue;
        came_by_[map_.node[to]] = {from, to};
        queue_.push_back(map_.node[to]);
      }
    }
  }
}

void NearTies::Add(int32_t replica, int32_t rows) {
  rows_[replica] += rows;
  load_[map_.node[replica]] += static_cast<float>(rows);
}

// One row goes from `node` to `last` as Reach found.
void NearTies::Walk(int32_t node, int32_t last) {
  for (int32_t at = last; at != node;) {
    const Hop hop = came_by_[at];
    Add(hop.from, -1);
    Add(hop.to, 1);
    at = map_.node[hop.from];
  }
}

// Without a change of choice: to a node that stays below this one.
bool NearTies::PassOn(int32_t node) {
  Reach(node);
  int32_t lowest = node;
  for (const int32_t n : queue_)
    if (Level(n, 1) < Level(lowest, 1)) lowest = n;
  if (lowest == node || Level(lowest, 1) >= Level(node)) return false;
  Walk(node, lowest);
  return true;
}

// After PassOn found nobody, so that everything reached is about as full as `node`.
bool NearTies::Swap(int32_t node) {
  int32_t from_node = -1, to_replica = -1;
  const Candidate* best = BestCandidate(from_node, to_replica);
  if (best == nullptr) return false;
  Walk(node, from_node);
  int32_t from = map_.first[best->expert];
  while (map_.node[from] != from_node) ++from;
  Add(from, -1);
  Add(to_replica, 1);
  swapped_[best->row] = static_cast<int32_t>(best - candidates_.data());
  while (PassOn(map_.node[to_replica])) {
  }
  return true;
}

const NearTies::Candidate* NearTies::BestCandidate(int32_t& from_node, int32_t& to_replica) {
  const Candidate* best = nullptr;
  for (const int32_t n : queue_) {
    for (int32_t i = first_held_[n]; i < first_held_[n + 1]; ++i) {
      const int32_t e = expert_of_[held_[i]];
      if (rows_[held_[i]] == 0) continue;
      for (int32_t c = first_candidate_[e]; c < first_candidate_[e + 1]; ++c) {
        const Candidate& candidate = candidates_[c];
        if (best != nullptr && candidate.gap >= best->gap) break;
        if (swapped_[candidate.row] >= 0) continue;
        int32_t to = map_.first[candidate.other];
        for (int32_t r = to + 1; r < map_.first[candidate.other + 1]; ++r)
          if (Level(map_.node[r], 1) < Level(map_.node[to], 1)) to = r;
        if (Level(map_.node[to], 1) > mean_ || came_by_[map_.node[to]].from >= 0) continue;
        best = &candidate;
        from_node = n;
        to_replica = to;
        break;
      }
    }
  }
  return best;
}

}  // namespace atoll::attention_node
