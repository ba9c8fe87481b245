#include "router/placement/layer_placement.h"

#include <algorithm>
#include <numeric>

namespace atoll::router {
namespace {

int32_t RootOf(std::vector<int32_t>& parent, int32_t node) {
  while (parent[node] != node) node = parent[node] = parent[parent[node]];
  return node;
}

}  // namespace

int64_t LayerNodes::slots_total() const { return std::accumulate(slots.begin(), slots.end(), int64_t{0}); }

double LayerNodes::speed_total() const { return std::accumulate(speed.begin(), speed.end(), 0.0); }

LayerNodes LayerNodes::Even(int32_t nodes, int32_t slots) {
  LayerNodes even{std::vector<double>(nodes, 1.0), std::vector<int32_t>(nodes, slots), std::vector<int32_t>(nodes)};
  std::iota(even.domain.begin(), even.domain.end(), 0);
  return even;
}

LayerPlacement PlacementOfHosts(const std::vector<std::vector<int32_t>>& hosts) {
  LayerPlacement placement;
  placement.first.reserve(hosts.size() + 1);
  placement.first.push_back(0);
  for (const std::vector<int32_t>& of_expert : hosts) {
    const auto begin = placement.host.insert(placement.host.end(), of_expert.begin(), of_expert.end());
    std::sort(begin, placement.host.end());
    placement.host.erase(std::unique(begin, placement.host.end()), placement.host.end());
    placement.first.push_back(static_cast<int32_t>(placement.host.size()));
  }
  return placement;
}

std::vector<std::vector<int32_t>> HostsOfPlacement(const LayerPlacement& placement) {
  std::vector<std::vector<int32_t>> hosts(placement.experts());
  for (int32_t e = 0; e < placement.experts(); ++e) hosts[e].assign(placement.HostsOf(e).begin(), placement.HostsOf(e).end());
  return hosts;
}

std::vector<std::vector<int32_t>> ExpertsOfNodes(const LayerPlacement& placement, int32_t nodes) {
  std::vector<std::vector<int32_t>> experts(nodes);
  for (int32_t e = 0; e < placement.experts(); ++e)
    for (const int32_t node : placement.HostsOf(e)) experts[node].push_back(e);
  return experts;
}

int32_t ReplicaGraphPieces(const LayerPlacement& placement, int32_t nodes) {
  std::vector<int32_t> parent(nodes);
  std::iota(parent.begin(), parent.end(), 0);
  int32_t pieces = nodes;
  for (int32_t e = 0; e < placement.experts(); ++e) {
    for (const int32_t node : placement.HostsOf(e)) {
      const int32_t a = RootOf(parent, node), b = RootOf(parent, placement.HostsOf(e)[0]);
      if (a == b) continue;
      parent[a] = b;
      --pieces;
    }
  }
  return pieces;
}

absl::Status CheckLayer(const LayerPlacement& placement, const LayerNodes& nodes) {
  std::vector<int32_t> used(nodes.count(), 0);
  for (int32_t e = 0; e < placement.experts(); ++e) {
    if (placement.copies(e) == 0) return absl::FailedPreconditionError(absl::StrCat("placement: expert ", e, " has no replica"));
    int32_t last = -1;
    for (const int32_t node : placement.HostsOf(e)) {
      if (node < 0 || node >= nodes.count())
        return absl::FailedPreconditionError(absl::StrCat("placement: expert ", e, " names node ", node, " of ", nodes.count()));
      if (node <= last) return absl::FailedPreconditionError(absl::StrCat("placement: two copies of expert ", e, " on node ", node));
      last = node;
      ++used[node];
    }
  }
  for (int32_t n = 0; n < nodes.count(); ++n) {
    if (used[n] > nodes.slots[n])
      return absl::FailedPreconditionError(absl::StrCat("placement: node ", n, " has ", nodes.slots[n], " slots, ", used[n], " are used"));
  }
  return absl::OkStatus();
}

}  // namespace atoll::router
