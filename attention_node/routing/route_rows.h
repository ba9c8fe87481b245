#pragma once

// Which expert node gets which rows of a dispatch: pure functions over the placement. A row crosses to a node once,
// however many of its experts live there.

#include <cstdint>
#include <span>
#include <vector>

#include "model/placement.h"

namespace atoll::attention_node {

// The seat of replica choice.
class ReplicaSelector {
 public:
  virtual ~ReplicaSelector() = default;
  // Before the choices for the pairs of one dispatch: a split over replicas wants to know all of them.
  virtual void Begin(int32_t /*layer*/, std::span<const int32_t> /*experts*/) {}
  // Index into `replicas` for the next pair, or -1 where none is usable.
  virtual int32_t Choose(model::ExpertId expert, std::span<const model::Replica> replicas) = 0;
};

// The first replica whose node is usable.
class FirstUsableReplica final : public ReplicaSelector {
 public:
  // `usable` by node index; borrowed.
  explicit FirstUsableReplica(const std::vector<bool>& usable) : usable_(usable) {}
  int32_t Choose(model::ExpertId expert, std::span<const model::Replica> replicas) override;

 private:
  const std::vector<bool>& usable_;
};

struct RoutedPair {
  int32_t row = 0;   // of the dispatch
  int32_t slot = 0;  // of the row's selected experts
  int32_t expert = 0;
  friend bool operator==(const RoutedPair&, const RoutedPair&) = default;
};

// A row with an expert that nobody usable holds; none of its pairs is routed.
struct UnroutedRow {
  int32_t row = 0;
  int32_t expert = 0;
};

struct Routes {
  std::vector<std::vector<RoutedPair>> by_node;  // by node index; each by row, then slot
  std::vector<UnroutedRow> unrouted;

  void Clear(size_t nodes);
};

// `experts`: [rows, experts_per_row] in selection order, ids below placement.experts. `routes` is reused storage.
void RouteRows(const model::Placement& placement, int32_t layer, std::span<const int32_t> experts, int32_t experts_per_row,
               ReplicaSelector& selector, Routes& routes);

}  // namespace atoll::attention_node
