// Static balance, batch imbalance under the exact fractional split, and the time of a plan.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "router/placement/batch_noise.h"
#include "router/placement/eplb.h"
#include "router/placement/exact_split.h"
#include "router/placement/quick_plan.h"
#include "tests/bench/balance/profiles.h"

namespace atoll::bench {
namespace {

using router::LayerNodes;
using router::LayerPlacement;

struct Bars {
  int32_t nodes, slots;
  double static_quick, static_full;  // 0: no bar
  double batch_quick, batch_full;    // percent
};

constexpr Bars kBars[] = {{32, 9, 0.9995, 0, 1.9, 1.2}, {32, 10, 0, 0, 0.2, 0.05}, {72, 4, 0.997, 0.999, 0, 0}, {72, 5, 0, 0, 0.75, 0.35},
                          {144, 3, 0, 0, 2.6, 1.9}};

struct Sums {
  double layers = 0, batches = 0;
  double static_eplb = 0, static_quick = 0, static_full = 0;
  double eplb = 0, eplb_exact = 0, quick = 0, full = 0, bound = 0;
  double eplb_us = 0, quick_us = 0, full_us = 0;
  int below_eplb = 0;
};

void AddLayer(const std::vector<double>& loads, const LayerNodes& nodes, int batches, router::SeededRandom& random, Sums& sums) {
  const int32_t count = nodes.count();
  const std::vector<float> floats(loads.begin(), loads.end());
  Stopwatch eplb_watch;
  const auto eplb = *router::PlanEplb(floats, {.replicas = static_cast<int32_t>(nodes.slots_total()), .gpus = count});
  sums.eplb_us += eplb_watch.us();
  Stopwatch quick_watch;
  const auto quick = *router::PlanQuick(loads, nodes, {});
  sums.quick_us += quick_watch.us();
  double full_us = 0;
  const LayerPlacement& full = FullPlan(loads, count, nodes.slots[0], &full_us);
  sums.full_us += full_us;
  router::ExactSplit eplb_split(PlacementOfEplb(eplb, count), nodes), quick_split(quick, nodes), full_split(full, nodes);
  const auto imbalance = [&](double level, const std::vector<double>& rows) { return router::Imbalance(level, rows, count); };
  const auto eplb_level = [&](const std::vector<double>& rows) {
    const std::vector<double> levels = EplbLevels(eplb, rows, count);
    return *std::max_element(levels.begin(), levels.end());
  };
  const double static_eplb = 1 / (1 + imbalance(eplb_level(loads), loads)), static_quick = 1 / (1 + imbalance(quick_split.LeastLevel(loads), loads));
  sums.layers += 1;
  sums.static_eplb += static_eplb;
  sums.static_quick += static_quick;
  sums.static_full += 1 / (1 + imbalance(full_split.LeastLevel(loads), loads));
  sums.below_eplb += static_quick < static_eplb ? 1 : 0;
  for (int i = 0; i < batches; ++i) {
    const std::vector<double> rows = router::DrawBatch(loads, {4096 * 8, 0.15}, random);
    sums.batches += 0.01;
    sums.eplb += imbalance(eplb_level(rows), rows);
    sums.eplb_exact += imbalance(eplb_split.LeastLevel(rows), rows);
    sums.quick += imbalance(quick_split.LeastLevel(rows), rows);
    sums.full += imbalance(full_split.LeastLevel(rows), rows);
    sums.bound += imbalance(router::LeastLevelOfAnyPlacement(rows, count, nodes.slots_total()), rows);
  }
}

void Report(const Bars& bars, const Sums& sums, Results& results) {
  const std::string shape = std::to_string(bars.nodes) + "x" + std::to_string(bars.slots);
  const double eplb_static = sums.static_eplb / sums.layers, eplb = sums.eplb / sums.batches;
  if (bars.static_quick > 0) results.AtLeast(shape + " static balance, quick", eplb_static, sums.static_quick / sums.layers, bars.static_quick, "");
  if (bars.static_full > 0) results.AtLeast(shape + " static balance, full", eplb_static, sums.static_full / sums.layers, bars.static_full, "");
  if (bars.static_quick > 0) results.AtMost(shape + " layers below EPLB", NAN, sums.below_eplb, 0, "");
  if (bars.batch_quick > 0) {
    results.AtMost(shape + " batch imbalance %, quick", eplb, sums.quick / sums.batches, bars.batch_quick, "%");
    results.AtMost(shape + " batch imbalance %, full", eplb, sums.full / sums.batches, bars.batch_full, "%");
    char text[128];
    std::snprintf(text, sizeof text, "  %s: EPLB placement with the exact split %.2f %%, bound of any placement %.3f %%", shape.c_str(),
                  sums.eplb_exact / sums.batches, sums.bound / sums.batches);
    results.Note(text);
  }
  const double per_58 = 58 / sums.layers * 1e-3;
  results.Time(shape + " quick plan of 58 layers, ms", sums.eplb_us * per_58, sums.quick_us * per_58, 10, "ms");
  results.Time(shape + " full plan of 58 layers, s", NAN, sums.full_us * per_58 * 1e-3, 60, "s");
}

}  // namespace

void RunPlanCase(const std::vector<Profile>& profiles, const Scale& scale, Results& results) {
  for (const Bars& bars : kBars) {
    Sums sums;
    router::SeededRandom random(41);
    const LayerNodes nodes = LayerNodes::Even(bars.nodes, bars.slots);
    int start = 0;  // another layer of each profile first, so that few layers are different ones
    for (const Profile& profile : profiles)
      for (size_t l = static_cast<size_t>(start++ % scale.layer_step); l < profile.layers.size(); l += scale.layer_step)
        AddLayer(profile.layers[l], nodes, scale.batches, random, sums);
    Report(bars, sums, results);
  }
}

}  // namespace atoll::bench
