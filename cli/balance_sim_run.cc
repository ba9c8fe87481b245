#include "cli/balance_sim_run.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "router/placement/batch_noise.h"
#include "router/placement/eplb.h"
#include "router/placement/exact_split.h"
#include "router/placement/full_plan.h"
#include "router/placement/quick_plan.h"

namespace atoll::cli {
namespace {

using router::LayerNodes;
using router::LayerPlacement;

struct Samples {
  std::vector<double> eplb, eplb_lp, atoll, bound;
};

ImbalanceFigures FiguresOf(std::vector<double>& samples) {
  if (samples.empty()) return {};
  std::sort(samples.begin(), samples.end());
  const double sum = std::accumulate(samples.begin(), samples.end(), 0.0);
  return {sum / static_cast<double>(samples.size()), samples[(samples.size() - 1) * 99 / 100]};
}

LayerNodes NodesOf(const BalanceSimOptions& options) {
  return LayerNodes::Even(static_cast<int32_t>(options.nodes), static_cast<int32_t>(options.slots));
}

absl::Status SimulateLayer(const std::vector<double>& loads, const BalanceSimOptions& options, router::SeededRandom& random, Samples& samples) {
  const LayerNodes nodes = NodesOf(options);
  const auto count = static_cast<int32_t>(options.nodes);
  ATOLL_ASSIGN_OR_RETURN(const LayerPlacement ours, PlanLayer(loads, options));
  ATOLL_ASSIGN_OR_RETURN(const router::EplbLayer eplb,
                         router::PlanEplb(std::vector<float>(loads.begin(), loads.end()),
                                          {.replicas = static_cast<int32_t>(options.nodes * options.slots), .gpus = count}));
  router::ExactSplit eplb_split(PlacementOfEplb(eplb, count), nodes), our_split(ours, nodes);
  for (int64_t batch = 0; batch < options.batches; ++batch) {
    const std::vector<double> rows = DrawBatch(loads, {options.tokens * options.top_k, options.sigma}, random);
    const std::vector<double> levels = EplbLevels(eplb, rows, count);
    const auto imbalance = [&](double level) { return router::Imbalance(level, rows, nodes.speed_total()); };
    samples.eplb.push_back(imbalance(*std::max_element(levels.begin(), levels.end())));
    samples.eplb_lp.push_back(imbalance(eplb_split.LeastLevel(rows)));
    samples.atoll.push_back(imbalance(our_split.LeastLevel(rows)));
    samples.bound.push_back(imbalance(router::LeastLevelOfAnyPlacement(rows, count, nodes.slots_total())));
  }
  return absl::OkStatus();
}

nlohmann::json SlotsOf(const LayerPlacement& placement, const BalanceSimOptions& options) {
  nlohmann::json slots = nlohmann::json::array();
  for (std::vector<int32_t>& held : ExpertsOfNodes(placement, static_cast<int32_t>(options.nodes))) {
    for (int32_t e = 0; static_cast<int64_t>(held.size()) < options.slots && e < placement.experts(); ++e)
      if (std::find(held.begin(), held.end(), e) == held.end()) held.push_back(e);
    for (const int32_t e : held) slots.push_back(e);
  }
  return slots;
}

}  // namespace

absl::StatusOr<LayerPlacement> PlanLayer(const std::vector<double>& loads, const BalanceSimOptions& options) {
  if (options.plan == "quick") return PlanQuick(loads, NodesOf(options), {});
  router::FullPlanOptions full;
  full.batch_rows = options.tokens * options.top_k;
  full.sigma = options.sigma;
  full.seed = static_cast<uint64_t>(options.seed) + 1;
  return PlanFull(loads, NodesOf(options), full);
}

absl::StatusOr<BalanceFigures> SimulateBalance(const std::vector<router::ExpertLoads>& files, const BalanceSimOptions& options) {
  if (options.slots > files[0].experts())
    return absl::InvalidArgumentError(absl::StrCat("--slots: expected at most ", files[0].experts(), ", one for each expert, found ", options.slots));
  Samples samples;
  BalanceFigures figures;
  router::SeededRandom random(static_cast<uint64_t>(options.seed));
  for (const router::ExpertLoads& file : files) {
    for (size_t layer = 0; layer < file.counts.size(); ++layer) {
      if (!file.HasLoad(layer)) continue;
      ++figures.layers;
      ATOLL_RETURN_IF_ERROR(SimulateLayer(file.counts[layer], options, random, samples));
    }
  }
  for (size_t layer = 0; layer < files[0].counts.size(); ++layer) figures.layers_empty += files[0].HasLoad(layer) ? 0 : 1;
  figures.eplb = FiguresOf(samples.eplb);
  figures.eplb_lp = FiguresOf(samples.eplb_lp);
  figures.atoll = FiguresOf(samples.atoll);
  figures.bound = FiguresOf(samples.bound);
  return figures;
}

absl::StatusOr<std::string> PlacementJson(const router::ExpertLoads& loads, const BalanceSimOptions& options) {
  nlohmann::json layers = nlohmann::json::array();
  for (size_t layer = 0; layer < loads.counts.size(); ++layer) {
    if (!loads.HasLoad(layer)) {
      layers.push_back(nlohmann::json::array());
      continue;
    }
    ATOLL_ASSIGN_OR_RETURN(const LayerPlacement placement, PlanLayer(loads.counts[layer], options));
    layers.push_back(SlotsOf(placement, options));
  }
  return nlohmann::json{{"nodes", options.nodes}, {"slots_per_node", options.slots}, {"physical_to_logical", std::move(layers)}}.dump() + "\n";
}

}  // namespace atoll::cli
