#include "model/placement.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "model/files/refusal.h"

namespace atoll::model {
namespace {

constexpr double kShareTolerance = 1e-6;

int64_t LayersHeld(const ModelConfig& config, bool with_mtp) {
  return with_mtp ? config.layers_total() : config.num_hidden_layers;
}

absl::Status CheckSizes(const Placement& placement) {
  const bool sane =
      placement.layers > 0 && placement.experts > 0 && placement.layers <= 4096 && placement.experts <= 65536;
  if (!sane) {
    return Refusal("placement: expected 1 to 4096 layers of 1 to 65536 experts, found ", placement.layers, " of ",
                   placement.experts);
  }
  const auto slots = static_cast<size_t>(placement.layers * placement.experts);
  if (placement.replicas.size() != slots ||
      placement.layer_has_experts.size() != static_cast<size_t>(placement.layers)) {
    return Refusal("placement: expected ", slots, " experts in ", placement.layers, " layers, found ",
                   placement.replicas.size(), " in ", placement.layer_has_experts.size());
  }
  const std::set<std::string> ids(placement.node_ids.begin(), placement.node_ids.end());
  if (ids.size() != placement.node_ids.size()) return absl::InvalidArgumentError("placement: a node id is there twice");
  return absl::OkStatus();
}

// One clause on what is wrong with an expert's replicas, empty when nothing is.
std::string ReplicaFault(const std::vector<Replica>& replicas, bool has_experts, size_t nodes) {
  if (!has_experts) return replicas.empty() ? "" : "has replicas in a layer without experts";
  if (replicas.empty()) return "has no replica";
  std::set<int32_t> seen;
  double sum = 0;
  for (const Replica& replica : replicas) {
    if (replica.node < 0 || static_cast<size_t>(replica.node) >= nodes)
      return absl::StrCat("names node ", replica.node, " of ", nodes);
    if (!seen.insert(replica.node).second) return absl::StrCat("has two copies on node ", replica.node);
    if (!(replica.share >= 0 && replica.share <= 1)) return absl::StrCat("has the share ", replica.share);
    sum += replica.share;
  }
  if (std::fabs(sum - 1) > kShareTolerance) return absl::StrCat("has shares that add up to ", sum);
  return "";
}

}  // namespace

std::vector<ExpertId> AllExperts(const ModelConfig& config, bool with_mtp) {
  std::vector<ExpertId> ids;
  for (int64_t layer = 0; layer < LayersHeld(config, with_mtp); ++layer) {
    if (!config.is_moe_layer(layer)) continue;
    for (int64_t expert = 0; expert < config.gate.n_routed_experts; ++expert) {
      ids.push_back({static_cast<int32_t>(layer), static_cast<int32_t>(expert)});
    }
  }
  return ids;
}

Placement EmptyPlacement(const ModelConfig& config, bool with_mtp) {
  Placement placement{.epoch = 0,
                      .layers = LayersHeld(config, with_mtp),
                      .experts = config.gate.n_routed_experts,
                      .node_ids = {},
                      .layer_has_experts = {},
                      .replicas = {}};
  placement.replicas.resize(placement.layers * placement.experts);
  for (int64_t layer = 0; layer < placement.layers; ++layer)
    placement.layer_has_experts.push_back(config.is_moe_layer(layer));
  return placement;
}

std::vector<ExpertId> ExpertsOfNode(const Placement& placement, int32_t node) {
  std::vector<ExpertId> ids;
  for (size_t slot = 0; slot < placement.replicas.size(); ++slot) {
    const auto& replicas = placement.replicas[slot];
    if (std::none_of(replicas.begin(), replicas.end(), [&](const Replica& r) { return r.node == node; })) continue;
    ids.push_back({static_cast<int32_t>(slot / placement.experts), static_cast<int32_t>(slot % placement.experts)});
  }
  return ids;
}

absl::Status ValidatePlacement(const Placement& placement) {
  ATOLL_RETURN_IF_ERROR(CheckSizes(placement));
  for (size_t slot = 0; slot < placement.replicas.size(); ++slot) {
    const size_t layer = slot / placement.experts;
    const std::string fault =
        ReplicaFault(placement.replicas[slot], placement.layer_has_experts[layer], placement.node_ids.size());
    if (!fault.empty()) {
      return Refusal("placement of epoch ", placement.epoch, ": expert ", slot % placement.experts, " of layer ", layer,
                     " ", fault);
    }
  }
  return absl::OkStatus();
}

}  // namespace atoll::model
