// Decode: experts that the busiest node has to read, and its time by a roofline, for batches from small to large.

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "attention_node/replica_choice/replica_choice.h"
#include "router/placement/eplb.h"
#include "router/placement/quick_plan.h"
#include "router/placement/seeded_random.h"
#include "tests/bench/balance/profiles.h"

namespace atoll::bench {
namespace {

using router::LayerNodes;

constexpr attention_node::ExpertRoofline kRoofline;

struct Shape {
  int32_t nodes, slots;
  double mean_bar, each_bar;  // percent fewer than EPLB
};

// Every token takes eight different experts: the eight largest of log popularity plus Gumbel noise.
std::vector<int32_t> DrawTokens(const std::vector<double>& loads, int tokens, router::SeededRandom& random) {
  std::vector<double> logs;
  for (const double load : loads) logs.push_back(std::log(load + 1e-9) + 0.15 * random.Gaussian());
  std::vector<int32_t> counts(loads.size(), 0);
  std::vector<std::pair<double, size_t>> keys(loads.size());
  for (int t = 0; t < tokens; ++t) {
    for (size_t e = 0; e < loads.size(); ++e) keys[e] = {logs[e] - std::log(-std::log(random.Uniform() + 1e-300)), e};
    std::partial_sort(keys.begin(), keys.begin() + 8, keys.end(), std::greater<>());
    for (int i = 0; i < 8; ++i) ++counts[keys[i].second];
  }
  return counts;
}

struct Busiest {
  double active = 0, us = 0;
};

Busiest EplbBusiest(const router::EplbLayer& eplb, const std::vector<int32_t>& counts, const Shape& shape) {
  std::vector<double> active(shape.nodes, 0), us(shape.nodes, 0);
  std::vector<int32_t> seen(counts.size(), 0);
  for (size_t s = 0; s < eplb.physical_to_logical.size(); ++s) {
    const int32_t e = eplb.physical_to_logical[s], copies = eplb.copies[e];
    const int32_t rows = counts[e] / copies + (seen[e]++ < counts[e] % copies ? 1 : 0);
    if (rows == 0) continue;
    active[s / shape.slots] += 1;
    us[s / shape.slots] += std::max(kRoofline.weights_us, static_cast<float>(rows) * kRoofline.row_us);
  }
  return {*std::max_element(active.begin(), active.end()), *std::max_element(us.begin(), us.end())};
}

Busiest OurBusiest(attention_node::ReplicaChoice& choice, const std::vector<int32_t>& counts) {
  std::vector<int32_t> rows(choice.map().replicas());
  choice.Choose(counts, {}, 1, rows);
  std::vector<double> active(choice.map().nodes(), 0);
  for (size_t r = 0; r < rows.size(); ++r) active[choice.map().node[r]] += rows[r] > 0 ? 1 : 0;
  return {*std::max_element(active.begin(), active.end()), choice.SlowestNodeUs(rows, 1)};
}

constexpr int kTokens[] = {32, 64, 128, 256, 512, 1024, 2048, 4096, 8192};

// One batch of one layer: the same for every shape.
struct Batch {
  int tokens;
  const std::vector<double>* loads;
  std::vector<int32_t> counts;
};

std::vector<Batch> DrawBatches(const std::vector<Profile>& profiles, const Scale& scale) {
  router::SeededRandom random(3);
  std::vector<Batch> batches;
  for (const int tokens : kTokens) {
    const int stride = 5 * scale.layer_step * (tokens > 1024 ? 2 : 1);
    for (const Profile& profile : profiles)
      for (size_t l = 3; l < profile.layers.size(); l += stride) batches.push_back({tokens, &profile.layers[l], DrawTokens(profile.layers[l], tokens, random)});
  }
  return batches;
}

void RunShape(const std::vector<Batch>& batches, const Shape& shape, Results& results) {
  const LayerNodes nodes = LayerNodes::Even(shape.nodes, shape.slots);
  std::map<int, std::pair<Busiest, Busiest>> sums;  // by tokens: EPLB's, ours
  for (const Batch& batch : batches) {
    const std::vector<double>& loads = *batch.loads;
    const auto placement = *router::PlanQuick(loads, nodes, {});
    attention_node::ReplicaChoice choice(attention_node::MakeReplicaMap(placement.first, placement.host, nodes.speed), kRoofline, 0);
    const auto eplb = *router::PlanEplb(std::vector<float>(loads.begin(), loads.end()),
                                        {.replicas = static_cast<int32_t>(nodes.slots_total()), .gpus = shape.nodes});
    const Busiest theirs = EplbBusiest(eplb, batch.counts, shape), ours = OurBusiest(choice, batch.counts);
    auto& [eplb_sum, our_sum] = sums[batch.tokens];
    eplb_sum = {eplb_sum.active + theirs.active, eplb_sum.us + theirs.us};
    our_sum = {our_sum.active + ours.active, our_sum.us + ours.us};
  }
  double mean = 0, least = 100, slowest = -100;
  for (const auto& [tokens, both] : sums) {
    slowest = std::max(slowest, 100 * (both.second.us / both.first.us - 1));
    if (tokens > 512) continue;
    const double fewer = 100 * (1 - both.second.active / both.first.active);
    mean += fewer / 5;
    least = std::min(least, fewer);
  }
  const std::string name = std::to_string(shape.nodes) + "x" + std::to_string(shape.slots);
  results.AtLeast(name + " decode straggler 32-512, % fewer than EPLB", NAN, mean, shape.mean_bar, "%");
  results.AtLeast(name + " decode straggler, worst of 32-512, % fewer", NAN, least, shape.each_bar, "%");
  results.AtMost(name + " slowest node 32-8192, worst % above EPLB", NAN, slowest, 2, "%");
}

}  // namespace

void RunDecodeCase(const std::vector<Profile>& profiles, const Scale& scale, Results& results) {
  const std::vector<Batch> batches = DrawBatches(profiles, scale);
  for (const Shape& shape : {Shape{32, 10, 18, 11}, {72, 5, 21, 18}, {144, 3, 32, 30}}) RunShape(batches, shape, results);
}

}  // namespace atoll::bench
