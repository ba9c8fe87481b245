#include "attention_node/routing/route_rows.h"

#include <algorithm>

namespace atoll::attention_node {

int32_t FirstUsableReplica::Choose(model::ExpertId, std::span<const model::Replica> replicas) {
  for (size_t i = 0; i < replicas.size(); ++i) {
    if (usable_[replicas[i].node]) return static_cast<int32_t>(i);
  }
  return -1;
}

void Routes::Clear(size_t nodes) {
  by_node.resize(nodes);
  for (std::vector<RoutedPair>& pairs : by_node) pairs.clear();
  unrouted.clear();
}

void RouteRows(const model::Placement& placement, int32_t layer, std::span<const int32_t> experts, int32_t experts_per_row,
               ReplicaSelector& selector, Routes& routes) {
  routes.Clear(placement.node_ids.size());
  selector.Begin(layer, experts);
  std::vector<int32_t> nodes(experts_per_row);
  const int32_t rows = static_cast<int32_t>(experts.size()) / experts_per_row;
  for (int32_t row = 0; row < rows; ++row) {
    const std::span<const int32_t> chosen = experts.subspan(row * experts_per_row, experts_per_row);
    int32_t missing = -1;
    for (int32_t slot = 0; slot < experts_per_row && missing < 0; ++slot) {
      const model::ExpertId id{layer, chosen[slot]};
      const std::vector<model::Replica>& replicas = placement.ReplicasOf(id);
      const int32_t replica = selector.Choose(id, replicas);
      if (replica < 0) missing = chosen[slot];
      else nodes[slot] = replicas[replica].node;
    }
    if (missing >= 0) {
      routes.unrouted.push_back({row, missing});
      continue;
    }
    for (int32_t slot = 0; slot < experts_per_row; ++slot) routes.by_node[nodes[slot]].push_back({row, slot, chosen[slot]});
  }
}

}  // namespace atoll::attention_node
