#include "model/shard_plan.h"

#include <algorithm>
#include <set>

#include "model/files/refusal.h"

namespace atoll::model {
namespace {

void AddTensor(const TensorCatalogue& catalogue, int64_t index, ShardPlan& plan) {
  plan.tensors.push_back(index);
  plan.bytes += catalogue.specs()[index].bytes();
}

bool Exists(const ModelConfig& config, ExpertId id) {
  return id.layer >= 0 && id.layer < config.layers_total() && config.is_moe_layer(id.layer) && id.expert >= 0 &&
         id.expert < config.gate.n_routed_experts;
}

}  // namespace

ShardPlan AttentionShard(const TensorCatalogue& catalogue, bool with_mtp) {
  ShardPlan plan;
  for (size_t i = 0; i < catalogue.specs().size(); ++i) {
    const TensorSpec& spec = catalogue.specs()[i];
    if (spec.role != TensorRole::kAttention || !spec.duplicate_of.empty() || (spec.mtp && !with_mtp)) continue;
    AddTensor(catalogue, static_cast<int64_t>(i), plan);
  }
  return plan;
}

absl::StatusOr<ShardPlan> ExpertShard(const TensorCatalogue& catalogue, const ModelConfig& config,
                                      std::span<const ExpertId> experts) {
  ShardPlan plan;
  std::set<ExpertId> seen;
  for (const ExpertId& id : experts) {
    if (!Exists(config, id)) return Refusal("the model has no expert ", id.expert, " in layer ", id.layer);
    if (!seen.insert(id).second) return Refusal("expert ", id.expert, " of layer ", id.layer, " is listed twice");
    for (ExpertMatrix matrix : {ExpertMatrix::kGate, ExpertMatrix::kUp, ExpertMatrix::kDown}) {
      const std::string name = ExpertTensorName(id.layer, id.expert, matrix);
      AddTensor(catalogue, catalogue.IndexOf(name), plan);
      const int64_t scale = catalogue.IndexOf(ScaleTensorName(name));
      if (scale >= 0) AddTensor(catalogue, scale, plan);
    }
  }
  std::sort(plan.tensors.begin(), plan.tensors.end());
  return plan;
}

int64_t ExpertBytes(const ModelConfig& config) {
  const int64_t hidden = config.hidden_size, width = config.moe_intermediate_size;
  const int64_t weights = 3 * hidden * width * DTypeBytes(config.matrix_dtype());
  const int64_t scales = config.weights == WeightFormat::kBF16
                             ? 0
                             : 3 * ScaleBlocks(hidden) * ScaleBlocks(width) * DTypeBytes(DType::kF32);
  return weights + scales;
}

}  // namespace atoll::model
