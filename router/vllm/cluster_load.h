#pragma once

// How busy the attention nodes are together. Pure.

#include <cstdint>

#include "router/control/control_report.h"

namespace atoll::router {

struct ClusterLoad {
  int64_t running = 0;  // sequences
  int64_t waiting = 0;
  int64_t positions_used = 0;  // in pages
  int64_t positions_max = 0;
  int64_t sequences_max = 0;  // that can run

  double page_use() const { return positions_max == 0 ? 0 : static_cast<double>(positions_used) / static_cast<double>(positions_max); }
  double sequence_use() const { return sequences_max == 0 ? 0 : static_cast<double>(running) / static_cast<double>(sequences_max); }
};

// Of the nodes that are not lost, as their last heartbeats said.
ClusterLoad LoadOf(const ClusterReport& report);

}  // namespace atoll::router
