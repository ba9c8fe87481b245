#pragma once

// The arithmetic of one micro-batch in one layer, as calls of kernels over the workspace: design.md section 9 says where
// values are rounded, the kernels do it. Nothing here waits, allocates or knows about nodes. Step thread only.

#include <cstdint>
#include <span>

#include "attention_node/layers/attention_shard.h"
#include "attention_node/layers/workspace.h"
#include "attention_node/routing_bias/biased_gate.h"
#include "attention_node/step.h"
#include "kernels/context.h"

namespace atoll::attention_node {

struct StageContext {
  const AttentionShard& shard;
  kernels::Context kernels;
  Workspace& work;
  BiasedGate* bias = nullptr;  // null: never a routing bias
};

// Copies the rows' tokens and positions into the workspace and fills the residual with their embeddings.
void RunEmbedding(const StageContext& context, const StepPlan& plan);

// residual += attention(norm(residual)): keys of these rows go to the pages first, then every row reads its keys there.
void RunAttention(const StageContext& context, const StepPlan& plan, const MicroBatch& batch, int32_t layer);

// normed = norm(residual), then residual += the dense MLP of it.
void RunDenseMlp(const StageContext& context, const MicroBatch& batch, int32_t layer);

// normed = norm(residual), then experts and weights of every row. work.non_finite tells rows whose logits are not finite.
void RunGate(const StageContext& context, const MicroBatch& batch, int32_t layer);

// mlp = the shared expert of normed.
void RunSharedExpert(const StageContext& context, const MicroBatch& batch, int32_t layer);

// residual += sum of the weighted expert rows, + mlp. work.non_finite tells rows with an expert row that is not finite.
void RunCombine(const StageContext& context, const MicroBatch& batch, int32_t layer);

// Logits of at most kHeadRows rows of the step, in their order, into work.logits.
void RunHead(const StageContext& context, std::span<const int32_t> rows);

}  // namespace atoll::attention_node
