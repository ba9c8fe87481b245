#pragma once

// What attention nodes have routed to each (layer, expert), as figures and as files. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "router/cluster/expert_counters.h"

namespace atoll::router {

// Both sums since some start; a layer that is missing has no traffic.
std::vector<LayerCounts> CountsSince(std::vector<LayerCounts> now, const std::vector<LayerCounts>& before);

// How even the load of a layer is.
struct LayerEvenness {
  int32_t layer = 0;
  double balancedness = 1;   // mean / busiest expert node, the replicas' shares as in the placement; 1 is perfect
  double hottest_ratio = 0;  // of the layer's rows, those that went to its kHottest most loaded experts
};
inline constexpr size_t kHottest = 8;
inline constexpr uint64_t kRowsToJudge = 1000;  // (row, expert) pairs: layers with fewer are left out

std::vector<LayerEvenness> EvennessOf(const std::vector<LayerCounts>& counts, const model::Placement& placement);
// Mean of the layers' balancedness; nothing where no layer can be judged.
std::optional<double> MeanBalancedness(const std::vector<LayerEvenness>& layers);

struct LoadShape {
  int64_t layers = 0;  // of the model, dense ones included
  int64_t experts = 0;
};

// {"model", "epoch", "seconds", "layers", "experts", "logical_count", "prompt_count", "generated_count"}, the counts
// [layers][experts]: what --expert-load reads.
struct LoadFacts {
  std::string model;
  uint64_t epoch = 0;
  double seconds = 0;  // that the counts were gathered over
};
std::string ExpertLoadJson(const LoadShape& shape, const std::vector<LayerCounts>& counts, const LoadFacts& facts);

// A NumPy file (format 1.0) of int64 [layers, experts].
enum class LoadPart { kAll, kPrompt, kGenerated };
std::string ExpertLoadNpy(const LoadShape& shape, const std::vector<LayerCounts>& counts, LoadPart part);

}  // namespace atoll::router
