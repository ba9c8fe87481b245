#pragma once

// Same-batch re-route of near ties (lossy, opt-in): where the exact split leaves a node above the mean, rows whose chosen
// expert there scores hardly better than one on a node below the mean take that one instead. Each change is one swap of one
// row, from the busiest node, smallest gap first; it ends as soon as the busiest node cannot be relieved, so that no change
// is spent on a node that nobody waits for.

#include <cstdint>
#include <span>
#include <vector>

#include "attention_node/replica_choice/replica_map.h"
#include "attention_node/replica_choice/row_split.h"
#include "base/matrix_view.h"

namespace atoll::attention_node {

// A batch with fewer pairs per node is bound by which experts are read, not by rows: it is left alone.
inline constexpr int64_t kPairsPerNodeMin = 8;

struct NearTieLimits {
  float epsilon = 0;         // largest gap of selection scores that counts as a tie
  int64_t changes_max = 0;   // swaps at most
};

// Rows of a batch in which the busiest node has `busiest` times the mean: before and after.
struct NearTieOutcome {
  int64_t changed = 0;
  float busiest_before = 1, busiest_after = 1;
};

// One layer's. Owns its workspace; allocates only while batches still grow. One thread at a time.
class NearTies {
 public:
  // Takes the map over. `salt`: as RowSplit.
  NearTies(ReplicaMap map, uint32_t salt);
  NearTies(const NearTies&) = delete;

  // biased: float32 [rows, experts], the scores by which experts are selected; -infinity where an expert may not be.
  // experts: [rows, k] chosen ids, in and out; at most one of each row changes, and where one does the slots are in the
  // order of larger `biased` first, then lower id. changed_rows: out, ascending. Same input, same output.
  NearTieOutcome Reroute(ConstMatrixView biased, std::span<int32_t> experts, const NearTieLimits& limits, std::vector<int32_t>& changed_rows);

  const ReplicaMap& map() const { return map_; }

 private:
  // A row could take `other` in place of `expert`.
  struct Candidate {
    float gap;
    int32_t row, expert, other;
  };
  struct Hop {
    int32_t from, to;  // replicas of one expert; -1: not reached
  };

  void CountAndSplit(std::span<const int32_t> experts);
  void FindCandidates(ConstMatrixView biased, std::span<const int32_t> experts, float epsilon);
  void AddCandidatesOfRow(const float* biased, std::span<const int32_t> chosen, int32_t row, float epsilon);
  bool PassOn(int32_t node);
  bool Swap(int32_t node);
  const Candidate* BestCandidate(int32_t& from_node, int32_t& to_replica);
  void Reach(int32_t node);
  void Walk(int32_t node, int32_t last);
  void Add(int32_t replica, int32_t rows);
  int32_t Busiest() const;
  float Level(int32_t node, float more = 0) const { return (load_[node] + more) / map_.speed[node]; }

  const ReplicaMap map_;
  RowSplit split_;
  std::vector<int32_t> first_held_, held_;     // [nodes + 1] into replicas by node
  std::vector<int32_t> expert_of_;             // [replicas]
  std::vector<int32_t> counts_, rows_;         // [experts], [replicas]
  std::vector<float> load_;                    // [nodes]
  float mean_ = 0;                             // level
  std::vector<Candidate> candidates_;          // by expert, then gap
  std::vector<int32_t> first_candidate_;       // [experts + 1]
  std::vector<int32_t> swapped_;               // [rows]: index of the row's swap in candidates_, or -1
  std::vector<Hop> came_by_;                   // [nodes]
  std::vector<int32_t> queue_;                 // nodes reached, in order
  std::vector<int32_t> others_;                // of a row: not chosen, near enough
};

}  // namespace atoll::attention_node
