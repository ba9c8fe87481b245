#include "router/placement/search/lanes.h"

#include <algorithm>
#include <numeric>

namespace atoll::router {
namespace {

void FillLane(std::span<const double> loads, double nodes_speed, int lane, LaneBatches& lanes) {
  const double total = std::accumulate(loads.begin(), loads.end(), 0.0);
  const double scale = total > 0 ? nodes_speed / total : 0;
  for (size_t e = 0; e < loads.size(); ++e) lanes.loads[e].at[lane] = static_cast<float>(loads[e] * scale);
}

}  // namespace

LaneBatches DrawLanes(std::span<const double> loads, double nodes_speed, const BatchNoise& noise, SeededRandom& random) {
  LaneBatches lanes{std::vector<Lanes>(loads.size())};
  for (int lane = 0; lane < kLanes; ++lane) FillLane(DrawBatch(loads, noise, random), nodes_speed, lane, lanes);
  return lanes;
}

LaneBatches LanesOfBatches(std::span<const std::vector<double>> batches, double nodes_speed) {
  LaneBatches lanes{std::vector<Lanes>(batches[0].size())};
  for (int lane = 0; lane < kLanes; ++lane) FillLane(batches[lane % batches.size()], nodes_speed, lane, lanes);
  return lanes;
}

}  // namespace atoll::router
