#include "router/placement/repair.h"

#include <algorithm>
#include <cmath>

#include "router/placement/search/climber.h"

namespace atoll::router {
namespace {

constexpr int kPerturbedBlocks = 2;

std::vector<Climber::Block> BlocksOf(std::span<const std::vector<double>> batches, const LayerNodes& nodes, const RepairOptions& options,
                                     SeededRandom& random) {
  const double speed = nodes.speed_total();
  std::vector<Climber::Block> blocks;
  for (int block = 0; block < kPerturbedBlocks; ++block) {
    std::vector<std::vector<double>> copies;
    for (int lane = 0; lane < kLanes; ++lane) {
      copies.push_back(batches[lane % batches.size()]);
      for (double& load : copies.back()) load *= std::exp(options.sigma * random.Gaussian());
    }
    blocks.push_back({LanesOfBatches(copies, speed), 1.0 / (kPerturbedBlocks + 1)});
  }
  blocks.push_back({LanesOfBatches(batches, speed), 1.0 / (kPerturbedBlocks + 1)});
  return blocks;
}

}  // namespace

int32_t ReplicasToLoad(const LayerPlacement& before, const LayerPlacement& after) {
  int32_t loads = 0;
  for (int32_t e = 0; e < after.experts(); ++e) {
    const auto held = before.HostsOf(e);
    for (const int32_t node : after.HostsOf(e)) loads += std::binary_search(held.begin(), held.end(), node) ? 0 : 1;
  }
  return loads;
}

Repair RepairLayer(const LayerPlacement& placement, std::span<const std::vector<double>> batches, const LayerNodes& nodes,
                   const RepairOptions& options) {
  SeededRandom random(options.seed);
  Climber climber(BlocksOf(batches, nodes, options, random), nodes, placement, {options.min_replicas});
  int32_t left = options.loads_max;
  while (left > 0 && climber.score() > options.score_enough && !(options.stop && options.stop())) {
    const int32_t loads = climber.StepBest(random, options.draws, options.gain_min, left);
    if (loads == 0) break;
    left -= loads;
  }
  Repair repair{climber.placement(), 0};
  repair.loads = ReplicasToLoad(placement, repair.placement);
  return repair;
}

}  // namespace atoll::router
