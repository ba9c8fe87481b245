#pragma once

// What `atoll balance-sim` computes: plans for recorded expert loads and how even sampled batches come out under them.

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "router/placement/layer_placement.h"
#include "router/placement/load_file/expert_load_file.h"

namespace atoll::cli {

struct BalanceSimOptions {
  int64_t nodes = 32;
  int64_t slots = 9;  // per node
  int64_t tokens = 4096;
  int64_t top_k = 8;
  int64_t batches = 20;  // per layer and file
  int64_t seed = 1;
  double sigma = 0.15;
  std::string plan = "quick";
};

// Of max / mean - 1 over nodes, over all layers, batches and files.
struct ImbalanceFigures {
  double mean = 0;
  double p99 = 0;
};

struct BalanceFigures {
  int64_t layers = 0;        // with load, in all files together
  int64_t layers_empty = 0;  // per file
  ImbalanceFigures eplb;     // EPLB's placement, its even split
  ImbalanceFigures eplb_lp;  // EPLB's placement, exact split of each batch
  ImbalanceFigures atoll;    // ours, exact split of each batch
  ImbalanceFigures bound;    // no placement can do better
};

// RESOURCE_EXHAUSTED when the slots do not hold every expert.
absl::StatusOr<router::LayerPlacement> PlanLayer(const std::vector<double>& loads, const BalanceSimOptions& options);
absl::StatusOr<BalanceFigures> SimulateBalance(const std::vector<router::ExpertLoads>& files, const BalanceSimOptions& options);

// {"nodes", "slots_per_node", "physical_to_logical": [layers][nodes x slots]}; an empty list for a layer without load.
// Slots that are left over hold what their node does not hold yet, so that the table is full.
absl::StatusOr<std::string> PlacementJson(const router::ExpertLoads& loads, const BalanceSimOptions& options);

}  // namespace atoll::cli
