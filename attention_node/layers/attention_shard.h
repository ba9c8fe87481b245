#pragma once

// The weights of an attention node: everything but the routed experts (and the MTP layer, which nothing runs yet), packed
// for the kernels. Immutable after LoadAttentionShard; thread-safe to read.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernels/context.h"
#include "kernels/linear/packed_matrix.h"
#include "kernels/rope/rope_table.h"
#include "model/checkpoint.h"
#include "model/config.h"
#include "model/load_progress.h"
#include "node/packed_shard.h"

namespace atoll::attention_node {

struct MlaWeights {
  kernels::PackedMatrix q_a;                // unused where the model has one q_proj
  std::vector<float> q_a_norm;
  kernels::PackedMatrix q;                  // q_b_proj or q_proj
  kernels::PackedMatrix kv_a;
  std::vector<float> kv_a_norm;
  std::vector<kernels::PackedMatrix> absorb;  // [heads] of [latent outputs, nope inputs]: UK transposed
  std::vector<kernels::PackedMatrix> uk;      // [heads] of [nope, latent]
  std::vector<kernels::PackedMatrix> uv;      // [heads] of [value, latent]
  kernels::PackedMatrix o;
};

struct MlpWeights {
  kernels::PackedMatrix gate, up, down;
};

struct GateWeights {
  kernels::PackedMatrix gate;  // [experts, hidden]
  std::vector<float> bias;     // e_score_correction_bias, for selection only
};

struct LayerWeights {
  std::vector<float> input_norm;
  MlaWeights attention;
  std::vector<float> post_norm;
  std::optional<GateWeights> gate;  // absent in dense layers
  MlpWeights mlp;                   // the dense MLP, or the shared expert
};

struct AttentionShard {
  model::ModelConfig config;
  kernels::RopeTable rope;
  model::HostMatrix embedding;  // [vocabulary, hidden]
  std::vector<LayerWeights> layers;
  std::vector<float> final_norm;
  kernels::PackedMatrix head;   // [vocabulary, hidden]
  node::PackedShard packed;     // what the packed matrices point into
};

// Reads and packs the node's tensors with the threads of `context`; `progress` may be empty. Errors name the tensor.
absl::StatusOr<AttentionShard> LoadAttentionShard(const model::Checkpoint& checkpoint, const kernels::Context& context,
                                                  const model::LoadProgressSink& progress);

}  // namespace atoll::attention_node
