#include "router/placement/packing.h"

#include <algorithm>
#include <numeric>

namespace atoll::router {

Packing::Packing(std::span<const double> loads, const LayerNodes& nodes, std::vector<int32_t> copies)
    : loads_(loads), nodes_(nodes), copies_(std::move(copies)), first_(loads.size() + 1, 0), placed_(loads.size(), 0), free_(nodes.slots),
      load_(nodes.count(), 0.0), mean_level_(std::accumulate(loads.begin(), loads.end(), 0.0) / nodes.speed_total()) {
  std::partial_sum(copies_.begin(), copies_.end(), first_.begin() + 1);
  host_.resize(first_.back());
}

std::span<const int32_t> Packing::HostsOf(int32_t expert) const {
  return {host_.data() + first_[expert], static_cast<size_t>(placed_[expert])};
}

bool Packing::Holds(int32_t expert, int32_t node) const {
  const auto hosts = HostsOf(expert);
  return std::find(hosts.begin(), hosts.end(), node) != hosts.end();
}

bool Packing::SharesDomain(int32_t expert, int32_t node) const {
  const auto hosts = HostsOf(expert);
  return std::any_of(hosts.begin(), hosts.end(), [&](int32_t host) { return nodes_.domain[host] == nodes_.domain[node]; });
}

void Packing::Put(int32_t expert, int32_t node) {
  host_[first_[expert] + placed_[expert]++] = node;
  load_[node] += piece(expert);
  --free_[node];
}

void Packing::SwapSingles(int32_t a, int32_t b) {
  int32_t& node_a = host_[first_[a]];
  int32_t& node_b = host_[first_[b]];
  const double moved = loads_[a] - loads_[b];
  load_[node_a] -= moved;
  load_[node_b] += moved;
  std::swap(node_a, node_b);
}

int32_t Packing::ReplicaOn(int32_t expert, int32_t node) const {
  const auto hosts = HostsOf(expert);
  const auto found = std::find(hosts.begin(), hosts.end(), node);
  return found == hosts.end() ? -1 : first_[expert] + static_cast<int32_t>(found - hosts.begin());
}

bool Packing::PutByMoving(int32_t expert) {
  for (const int32_t room : HostsOf(expert)) {
    if (full(room)) continue;
    for (int32_t other = 0; other < static_cast<int32_t>(copies_.size()); ++other) {
      if (other == expert || Holds(other, room)) continue;
      for (const int32_t node : HostsOf(other)) {
        if (Holds(expert, node)) continue;
        host_[ReplicaOn(other, node)] = room;
        load_[node] -= piece(other);
        load_[room] += piece(other);
        --free_[room];
        ++free_[node];
        Put(expert, node);
        return true;
      }
    }
  }
  return false;
}

LayerPlacement Packing::Finish() const {
  LayerPlacement placement{std::vector<int32_t>(copies_.size() + 1, 0), {}};
  placement.host.reserve(host_.size());
  for (size_t e = 0; e < copies_.size(); ++e) {
    const auto hosts = HostsOf(static_cast<int32_t>(e));
    const auto begin = placement.host.insert(placement.host.end(), hosts.begin(), hosts.end());
    std::sort(begin, placement.host.end());
    placement.first[e + 1] = static_cast<int32_t>(placement.host.size());
  }
  return placement;
}

}  // namespace atoll::router
