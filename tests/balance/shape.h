#pragma once

#include "model/placement.h"

namespace atoll::router {

// One dense layer, then MoE layers.
inline model::Placement Shape(int64_t layers, int64_t experts) {
  model::Placement shape{.epoch = 0, .layers = layers, .experts = experts, .node_ids = {}, .layer_has_experts = {}, .replicas = {}};
  for (int64_t layer = 0; layer < layers; ++layer) shape.layer_has_experts.push_back(layer > 0);
  shape.replicas.resize(layers * experts);
  return shape;
}

}  // namespace atoll::router
