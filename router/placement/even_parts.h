#pragma once

// Where there are too few extra replicas to join all nodes, the replica graph falls into parts. Load evens out within a
// part by the split; between parts only the packing can do it.

#include "router/placement/packing.h"

namespace atoll::router {

// Swaps experts of one replica between parts until no swap lowers the fullest part or enough swaps are done. Otherwise
// than `thoroughly`, only parts below the mean are asked and one swap per node is enough.
void EvenParts(Packing& packing, int32_t experts, bool thoroughly);

}  // namespace atoll::router
