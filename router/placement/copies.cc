#include "router/placement/copies.h"

#include <algorithm>

namespace atoll::router {

std::vector<int32_t> CountCopies(std::span<const double> loads, const LayerNodes& nodes, int32_t min_replicas) {
  const auto experts = static_cast<int64_t>(loads.size());
  const int64_t slots = nodes.slots_total();
  const auto nodes_used = std::count_if(nodes.slots.begin(), nodes.slots.end(), [](int32_t room) { return room > 0; });
  const int64_t each = std::max<int64_t>(1, std::min<int64_t>({min_replicas, slots / experts, nodes_used}));
  std::vector<int32_t> copies(experts, static_cast<int32_t>(each));
  std::vector<std::pair<double, int32_t>> heap;
  heap.reserve(experts);
  if (each < nodes_used)
    for (int32_t e = 0; e < experts; ++e) heap.emplace_back(loads[e] / static_cast<double>(each), -e);
  std::make_heap(heap.begin(), heap.end());
  for (int64_t extra = slots - each * experts; extra > 0 && !heap.empty(); --extra) {
    std::pop_heap(heap.begin(), heap.end());
    const int32_t e = -heap.back().second;
    heap.back().first = loads[e] / ++copies[e];
    if (copies[e] < nodes_used) {
      std::push_heap(heap.begin(), heap.end());
    } else {
      heap.pop_back();
    }
  }
  return copies;
}

}  // namespace atoll::router
