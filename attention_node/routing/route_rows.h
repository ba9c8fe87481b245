#pragma once

// Which expert node gets which rows of a dispatch. A row crosses to a node once, however many of its experts are run there.

#include <cstdint>
#include <span>
#include <vector>

#include "attention_node/routing/replica_selector.h"

namespace atoll::attention_node {

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
  std::vector<int32_t> nodes_of_row;  // scratch

  void Clear(size_t nodes);
};

// `experts`: [rows, experts_per_row] in selection order; `selector` has begun with them. `routes` is reused storage.
void RouteRows(std::span<const int32_t> experts, int32_t experts_per_row, ReplicaSelector& selector, Routes& routes);

}  // namespace atoll::attention_node
