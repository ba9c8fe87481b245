#include "router/placement/full_plan.h"

#include "router/placement/quick_plan.h"
#include "router/placement/search/climber.h"

namespace atoll::router {
namespace {

constexpr int64_t kAskEvery = 64;     // candidates between two questions whether to stop
constexpr int kNearBlocks = 3;        // of batches as they come, 16 each
constexpr double kFarSigma = 0.6;    // and as many of what drift or another workload may bring
constexpr double kFarWeight = 0.3;
constexpr int kFarBlocks = 3;
constexpr double kGainMin = 1e-6;

// A graph in one piece is judged by noisy batches, because the expected loads come out even under nearly any. One in
// pieces cannot follow noise whatever it looks like: there the expected loads are what a placement can be good for.
std::vector<Climber::Block> DrawBlocks(std::span<const double> loads, const LayerNodes& nodes, bool whole, const FullPlanOptions& options) {
  SeededRandom random(options.seed ^ 0x5bd1e995);
  const double speed = nodes.speed_total();
  std::vector<Climber::Block> blocks;
  if (!whole) {
    const std::vector<double> expected(loads.begin(), loads.end());
    blocks.push_back({LanesOfBatches({&expected, 1}, speed), 1});
    return blocks;
  }
  for (int i = 0; i < kNearBlocks; ++i)
    blocks.push_back({DrawLanes(loads, speed, {options.batch_rows, options.sigma}, random), (1 - kFarWeight) / kNearBlocks});
  for (int i = 0; i < kFarBlocks; ++i) blocks.push_back({DrawLanes(loads, speed, {options.batch_rows, kFarSigma}, random), kFarWeight / kFarBlocks});
  return blocks;
}

}  // namespace

absl::StatusOr<LayerPlacement> PlanFull(std::span<const double> loads, const LayerNodes& nodes, const FullPlanOptions& options) {
  ATOLL_ASSIGN_OR_RETURN(const LayerPlacement quick, PlanQuick(loads, nodes, {options.min_replicas, true}));
  const bool whole = ReplicaGraphPieces(quick, nodes.count()) == 1;
  Climber climber(DrawBlocks(loads, nodes, whole, options), nodes, quick, {options.min_replicas});
  SeededRandom random(options.seed);
  for (int64_t i = 0; i < options.candidates; ++i) {
    if (i % kAskEvery == 0 && options.stop && options.stop()) break;
    int32_t loads_needed = 0;
    if (!climber.Step(random, kGainMin, &loads_needed)) break;
  }
  return climber.placement();
}

}  // namespace atoll::router
