#include "attention_node/routing/route_rows.h"

namespace atoll::attention_node {

void Routes::Clear(size_t nodes) {
  by_node.resize(nodes);
  for (std::vector<RoutedPair>& pairs : by_node) pairs.clear();
  unrouted.clear();
}

void RouteRows(std::span<const int32_t> experts, int32_t experts_per_row, ReplicaSelector& selector, Routes& routes) {
  routes.Clear(selector.nodes());
  routes.nodes_of_row.resize(experts_per_row);
  const int32_t rows = static_cast<int32_t>(experts.size()) / experts_per_row;
  for (int32_t row = 0; row < rows; ++row) {
    const std::span<const int32_t> chosen = experts.subspan(row * experts_per_row, experts_per_row);
    if (const int32_t missing = selector.ChooseRow(chosen, routes.nodes_of_row); missing >= 0) {
      routes.unrouted.push_back({row, missing});
      continue;
    }
    for (int32_t slot = 0; slot < experts_per_row; ++slot)
      routes.by_node[routes.nodes_of_row[slot]].push_back({row, slot, chosen[slot]});
  }
}

}  // namespace atoll::attention_node
