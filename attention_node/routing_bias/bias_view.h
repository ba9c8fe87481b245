#pragma once

// What of a view of the cluster a routing bias needs, laid out by layer.

#include <cstdint>
#include <memory>
#include <vector>

#include "attention_node/routing_bias/near_ties.h"
#include "node/cluster.h"

namespace atoll::attention_node {

struct BiasView {
  float epsilon = 0;
  float changed_max = 0;                             // fraction of decisions; above it the bias stops by itself
  std::vector<std::vector<float>> delta;             // [layers]; each empty or [experts]
  std::vector<std::unique_ptr<NearTies>> near_ties;  // [layers]; null: an expert of the layer has no living replica
};

// Null where the view's epsilon is 0.
std::unique_ptr<BiasView> MakeBiasView(const node::ClusterView& view);

}  // namespace atoll::attention_node
