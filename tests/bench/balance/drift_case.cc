// Real drift: the profiles in name order, five windows of four batches each; every window is served with what was
// repaired after the window before. EPLB plans anew from the window before; its loads are counted as they come, without
// renaming nodes so that more stays where it is (which saves it 15 %).

#include <algorithm>
#include <cmath>
#include <string>

#include "router/placement/batch_noise.h"
#include "router/placement/eplb.h"
#include "router/placement/exact_split.h"
#include "router/placement/quick_plan.h"
#include "router/placement/repair.h"
#include "tests/bench/balance/profiles.h"

namespace atoll::bench {
namespace {

using router::LayerNodes;
using router::LayerPlacement;

constexpr int kWindows = 5, kBatches = 4;
constexpr int64_t kRows = 8192 * 8;
constexpr double kExpertGb = 0.04404, kLayers = 58;

struct Sums {
  double imbalance = 0, batches = 0, loads = 0, us = 0, repairs = 0;
  double eplb = 0, eplb_loads = 0;
};

// Planned from the sum of a window's batches.
router::EplbLayer PlanEplbFrom(const std::vector<std::vector<double>>& window, const LayerNodes& nodes) {
  std::vector<float> loads(window[0].size(), 0);
  for (const std::vector<double>& batch : window)
    for (size_t e = 0; e < batch.size(); ++e) loads[e] += static_cast<float>(batch[e]);
  return *router::PlanEplb(loads, {.replicas = static_cast<int32_t>(nodes.slots_total()), .gpus = nodes.count()});
}

void RunLayer(const std::vector<Profile>& profiles, size_t layer, const LayerNodes& nodes, router::SeededRandom& random, Sums& sums) {
  LayerPlacement placement = *router::PlanQuick(profiles[0].layers[layer], nodes, {});
  router::EplbLayer eplb = PlanEplbFrom({profiles[0].layers[layer]}, nodes);
  std::vector<std::vector<double>> window;
  for (size_t f = 0; f < profiles.size(); ++f) {
    for (int w = 0; w < kWindows; ++w) {
      if (!window.empty()) {
        Stopwatch watch;
        const router::Repair repair = router::RepairLayer(placement, window, nodes, {});
        sums.us += watch.us();
        sums.repairs += 1;
        placement = repair.placement;
        sums.loads += f > 0 ? repair.loads : 0;
        router::EplbLayer next = PlanEplbFrom(window, nodes);
        if (f > 0) sums.eplb_loads += router::ReplicasToLoad(PlacementOfEplb(eplb, nodes.count()), PlacementOfEplb(next, nodes.count()));
        eplb = std::move(next);
      }
      router::ExactSplit split(placement, nodes);
      window.clear();
      for (int b = 0; b < kBatches; ++b) {
        window.push_back(router::DrawBatch(profiles[f].layers[layer], {kRows, 0.15}, random));
        if (f == 0) continue;
        sums.imbalance += 100 * router::Imbalance(split.LeastLevel(window.back()), window.back(), nodes.count());
        const std::vector<double> levels = EplbLevels(eplb, window.back(), nodes.count());
        sums.eplb += 100 * router::Imbalance(*std::max_element(levels.begin(), levels.end()), window.back(), nodes.count());
        sums.batches += 1;
      }
    }
  }
}

void RunShape(const std::vector<Profile>& profiles, const Scale& scale, int32_t slots, double bar, double bar_gb, Results& results) {
  const LayerNodes nodes = LayerNodes::Even(32, slots);
  router::SeededRandom random(9);
  Sums sums;
  for (size_t l = 2; l < profiles[0].layers.size(); l += 2 * scale.layer_step) RunLayer(profiles, l, nodes, random, sums);
  const std::string shape = "32x" + std::to_string(slots);
  const double windows = sums.batches / kBatches;
  results.AtMost(shape + " real drift, imbalance %", sums.eplb / sums.batches, sums.imbalance / sums.batches, bar, "%");
  results.AtMost(shape + " real drift, GB loaded per window", sums.eplb_loads / windows * kLayers * kExpertGb, sums.loads / windows * kLayers * kExpertGb, bar_gb, "GB");
  results.Time(shape + " repair of a layer, ms", NAN, sums.us / sums.repairs * 1e-3, 50, "ms");
}

}  // namespace

void RunDriftCase(const std::vector<Profile>& profiles, const Scale& scale, Results& results) {
  RunShape(profiles, scale, 10, 1.0, 1.5, results);
  RunShape(profiles, scale, 9, 5, 9, results);
}

}  // namespace atoll::bench
