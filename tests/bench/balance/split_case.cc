// The split that serves: rows as sent, against the exact optimum; many dispatchers that do not talk; a workload switch.

#include <algorithm>
#include <cmath>
#include <string>

#include "attention_node/replica_choice/row_split.h"
#include "router/placement/batch_noise.h"
#include "router/placement/eplb.h"
#include "router/placement/exact_split.h"
#include "router/placement/quick_plan.h"
#include "tests/bench/balance/profiles.h"

namespace atoll::bench {
namespace {

using attention_node::MakeReplicaMap;
using attention_node::ReplicaMap;
using attention_node::RowSplit;
using router::LayerNodes;
using router::LayerPlacement;

constexpr int kDispatchers = 16;

LayerPlacement Plan(const std::vector<double>& loads, const LayerNodes& nodes, bool full) {
  return full ? FullPlan(loads, nodes.count(), nodes.slots[0]) : *router::PlanQuick(loads, nodes, {});
}

router::EplbLayer PlanEplbOf(const std::vector<double>& loads) {
  return *router::PlanEplb(std::vector<float>(loads.begin(), loads.end()), {.replicas = 320, .gpus = 32});
}

template <typename Rows>
double Above(const ReplicaMap& map, const Rows& rows, double total) {
  std::vector<double> load(map.nodes(), 0);
  for (int32_t r = 0; r < map.replicas(); ++r) load[map.node[r]] += rows[r];
  return 100 * (*std::max_element(load.begin(), load.end()) * map.nodes() / total - 1);
}

// One batch, its tokens dealt out to dispatchers that each split their own. Adds EPLB's even split of the same batch to
// `eplb_sum`.
double LocalImbalance(const ReplicaMap& map, const router::EplbLayer& eplb, const std::vector<double>& loads, int64_t tokens,
                      router::SeededRandom& random, double& eplb_sum) {
  std::vector<double> weights = loads;
  for (double& weight : weights) weight *= std::exp(0.15 * random.Gaussian());
  std::vector<int32_t> rows(map.replicas()), sum(map.replicas(), 0);
  std::vector<double> batch(loads.size(), 0);
  for (int d = 0; d < kDispatchers; ++d) {
    const std::vector<double> counts = router::DrawCounts(weights, tokens * 8 / kDispatchers, random);
    RowSplit split(map, static_cast<uint32_t>(d));
    split.Split(std::vector<int32_t>(counts.begin(), counts.end()), {}, rows);
    for (size_t r = 0; r < rows.size(); ++r) sum[r] += rows[r];
    for (size_t e = 0; e < batch.size(); ++e) batch[e] += counts[e];
  }
  const std::vector<double> levels = EplbLevels(eplb, batch, map.nodes());
  eplb_sum += 100 * router::Imbalance(*std::max_element(levels.begin(), levels.end()), batch, map.nodes());
  return Above(map, sum, static_cast<double>(tokens * 8));
}

void RunLocal(const std::vector<Profile>& profiles, const Scale& scale, bool full, Results& results) {
  const LayerNodes nodes = LayerNodes::Even(32, 10);
  router::SeededRandom random(5);
  double large = 0, small = 0, count = 0, eplb_large = 0, eplb_small = 0;
  for (const Profile& profile : profiles) {
    for (size_t l = 1; l < profile.layers.size(); l += 2 * scale.layer_step) {
      const LayerPlacement placement = Plan(profile.layers[l], nodes, full);
      const ReplicaMap map = MakeReplicaMap(placement.first, placement.host, nodes.speed);
      const router::EplbLayer eplb = PlanEplbOf(profile.layers[l]);
      for (int i = 0; i < scale.batches; ++i, count += 1) {
        large += LocalImbalance(map, eplb, profile.layers[l], 4096, random, eplb_large);
        small += LocalImbalance(map, eplb, profile.layers[l], 512, random, eplb_small);
      }
    }
  }
  const std::string kind = full ? ", full" : ", quick";
  results.AtMost("32x10, 16 dispatchers, 4096 tokens, %" + kind, eplb_large / count, large / count, full ? 1.6 : 2.1, "%");
  results.AtMost("32x10, 16 dispatchers, 512 tokens, %" + kind, eplb_small / count, small / count, full ? 10 : 12, "%");
}

void RunGlobal(const std::vector<Profile>& profiles, const Scale& scale, int32_t count, int32_t slots, double bar_us, Results& results) {
  const LayerNodes nodes = LayerNodes::Even(count, slots);
  router::SeededRandom random(6);
  double exact = 0, fractional = 0, whole = 0, us = 0, batches = 0;
  for (const Profile& profile : profiles) {
    for (size_t l = 2; l < profile.layers.size(); l += 2 * scale.layer_step) {
      const LayerPlacement placement = Plan(profile.layers[l], nodes, false);
      const ReplicaMap map = MakeReplicaMap(placement.first, placement.host, nodes.speed);
      router::ExactSplit optimum(placement, nodes);
      RowSplit split(map, 0);
      std::vector<int32_t> rows(map.replicas());
      for (int i = 0; i < scale.batches; ++i, batches += 1) {
        const std::vector<double> drawn = router::DrawBatch(profile.layers[l], {4096 * 8, 0.15}, random);
        const std::vector<int32_t> counts(drawn.begin(), drawn.end());
        for (int warm = 0; warm < 3; ++warm) split.Split(counts, {}, rows);
        Stopwatch watch;
        for (int k = 0; k < 10; ++k) split.Split(counts, {}, rows);
        us += watch.us() / 10;
        exact += 100 * router::Imbalance(optimum.LeastLevel(drawn), drawn, count);
        fractional += Above(map, split.fractional_rows(), 4096 * 8);
        whole += Above(map, rows, 4096 * 8);
      }
    }
  }
  const std::string shape = std::to_string(count) + "x" + std::to_string(slots);
  results.AtMost(shape + " split above the optimum, points", NAN, (fractional - exact) / batches, 0.1, "");
  results.AtMost(shape + " rows as sent above the optimum, points", NAN, (whole - exact) / batches, 0.3, "");
  results.Time(shape + " split of a layer, us", NAN, us / batches, bar_us, "us");
}

// Planned for one workload, serving another; nothing is moved.
void RunSwitch(const std::vector<Profile>& profiles, const Scale& scale, bool full, Results& results) {
  const auto named = [&](const char* name) {
    const auto found = std::find_if(profiles.begin(), profiles.end(), [&](const Profile& p) { return p.name == name; });
    return found == profiles.end() ? nullptr : &*found;
  };
  const Profile *before = named("decode_in1000out1000.json"), *after = named("decode_in2000out100.json");
  if (before == nullptr || after == nullptr) return results.Note("  workload switch: skipped, its profiles are absent");
  const LayerNodes nodes = LayerNodes::Even(32, 10);
  router::SeededRandom random(8);
  double eplb_sum = 0, global = 0, local = 0, count = 0;
  for (size_t l = 0; l < before->layers.size(); l += std::min(scale.layer_step, 3)) {
    const std::vector<double>& loads = before->layers[l];
    const LayerPlacement placement = Plan(loads, nodes, full);
    const router::EplbLayer eplb = PlanEplbOf(loads);
    const ReplicaMap map = MakeReplicaMap(placement.first, placement.host, nodes.speed);
    router::ExactSplit split(placement, nodes);
    for (int i = 0; i < scale.batches; ++i, count += 1) {
      const std::vector<double> rows = router::DrawBatch(after->layers[l], {4096 * 8, 0.15}, random);
      global += 100 * router::Imbalance(split.LeastLevel(rows), rows, 32);
      local += LocalImbalance(map, eplb, after->layers[l], 4096, random, eplb_sum);
    }
  }
  const std::string kind = full ? ", full" : ", quick";
  results.AtMost("32x10 after a workload switch, global split, %" + kind, eplb_sum / count, global / count, full ? 1.5 : 4, "%");
  results.AtMost("32x10 after a workload switch, 16 dispatchers, %" + kind, eplb_sum / count, local / count, full ? 4 : 6.5, "%");
}

}  // namespace

void RunSplitCase(const std::vector<Profile>& profiles, const Scale& scale, Results& results) {
  RunGlobal(profiles, scale, 32, 9, 6, results);
  RunGlobal(profiles, scale, 32, 10, 6, results);
  RunGlobal(profiles, scale, 144, 3, 40, results);
  for (const bool full : {false, true}) RunLocal(profiles, scale, full, results);
  for (const bool full : {false, true}) RunSwitch(profiles, scale, full, results);
}

}  // namespace atoll::bench
