#include "attention_node/replica_choice/replica_map.h"

#include <algorithm>
#include <numeric>

namespace atoll::attention_node {

ReplicaMap MakeReplicaMap(std::span<const int32_t> first, std::span<const int32_t> node, std::span<const double> speed) {
  ReplicaMap map;
  map.first.assign(first.begin(), first.end());
  map.node.assign(node.begin(), node.end());
  const double mean = std::accumulate(speed.begin(), speed.end(), 0.0) / static_cast<double>(speed.size());
  for (const double s : speed) map.speed.push_back(static_cast<float>(s / mean));
  for (int32_t e = 0; e < map.experts(); ++e) {
    const int32_t copies = map.first[e + 1] - map.first[e];
    (copies == 1 ? map.single : map.shared).push_back(e);
    map.copies_max = std::max(map.copies_max, copies);
  }
  return map;
}

}  // namespace atoll::attention_node
