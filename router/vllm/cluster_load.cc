#include "router/vllm/cluster_load.h"

#include <algorithm>

#include "model/config.h"

namespace atoll::router {

ClusterLoad LoadOf(const ClusterReport& report) {
  ClusterLoad load;
  for (const NodeReport& node : report.nodes) {
    const NodeHello& hello = node.node.hello;
    if (hello.role != NodeRole::kAttention || node.state == NodeState::kLost) continue;
    const NodeHeartbeat& heartbeat = node.node.heartbeat;
    load.running += std::max(heartbeat.running, 0);
    load.waiting += std::max(heartbeat.waiting, 0);
    load.positions_max += hello.capacity.pages * model::kPagePositions;
    load.positions_used += std::clamp<int64_t>(hello.capacity.pages - heartbeat.pages_free, 0, hello.capacity.pages) * model::kPagePositions;
    load.sequences_max += hello.capacity.max_num_seqs;
  }
  return load;
}

}  // namespace atoll::router
