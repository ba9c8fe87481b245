#pragma once

// How often each expert of a layer is repeated.

#include <cstdint>
#include <span>
#include <vector>

#include "router/placement/layer_placement.h"

namespace atoll::router {

// [experts]: min_replicas each where the slots allow it (otherwise as many for all as they allow, at least one), then each
// further copy to the expert with the largest pieces; never more than there are nodes. The slots hold every expert once.
std::vector<int32_t> CountCopies(std::span<const double> loads, const LayerNodes& nodes, int32_t min_replicas);

}  // namespace atoll::router
