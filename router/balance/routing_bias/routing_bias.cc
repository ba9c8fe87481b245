#include "router/balance/routing_bias/routing_bias.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_format.h"

namespace atoll::router {
namespace {

constexpr double kReturn = 0.25;  // of a step, back towards 0 where nothing asks for a bias

// Where the split puts the expert's next row.
double LowestLevel(const std::vector<model::Replica>& replicas, std::span<const double> levels) {
  double lowest = levels[replicas.front().node];
  for (const model::Replica& replica : replicas) lowest = std::min(lowest, levels[replica.node]);
  return lowest;
}

float Towards0(float delta, float by) { return delta > 0 ? std::max(0.0F, delta - by) : std::min(0.0F, delta + by); }

}  // namespace

bool RoutingBiasTotals::Plausible() const {
  for (const double sum : {score_mass, score_mass_kept, busiest_before, busiest_after})
    if (!std::isfinite(sum) || sum < 0) return false;
  return changed <= decisions;
}

void RoutingBiasTotals::Add(const RoutingBiasTotals& more) {
  decisions += more.decisions;
  changed += more.changed;
  score_mass += more.score_mass;
  score_mass_kept += more.score_mass_kept;
  batches += more.batches;
  busiest_before += more.busiest_before;
  busiest_after += more.busiest_after;
  switched_off = switched_off || more.switched_off;
}

RoutingBias::RoutingBias(const RoutingBiasOptions& options, int64_t layers, int64_t experts)
    : options_(options), experts_(experts), deltas_(static_cast<size_t>(layers)) {}

void RoutingBias::Step(int32_t layer, std::span<const double> levels, std::span<const std::vector<model::Replica>> replicas) {
  const double mean = std::accumulate(levels.begin(), levels.end(), 0.0) / static_cast<double>(levels.size());
  if (epsilon() <= 0 || !(mean > 0)) return;
  std::vector<float>& deltas = deltas_[layer];
  deltas.resize(static_cast<size_t>(experts_), 0.0F);
  const float step = static_cast<float>(options_.step) * options_.epsilon;
  for (size_t e = 0; e < deltas.size(); ++e) {
    if (replicas[e].empty()) continue;
    const double level = LowestLevel(replicas[e], levels) / mean;
    if (std::abs(level - 1) <= options_.dead_band) deltas[e] = Towards0(deltas[e], step * static_cast<float>(kReturn));
    else deltas[e] = std::clamp(deltas[e] + (level < 1 ? step : -step), -options_.epsilon, options_.epsilon);
  }
}

std::span<const float> RoutingBias::DeltaOf(int32_t layer) const {
  const std::vector<float>& deltas = deltas_[layer];
  if (epsilon() <= 0 || std::all_of(deltas.begin(), deltas.end(), [](float delta) { return delta == 0; })) return {};
  return deltas;
}

bool RoutingBias::Count(const RoutingBiasTotals& since_last) {
  if (!since_last.Plausible()) return false;
  totals_.Add(since_last);
  window_.Add(since_last);
  if (!off_reason_.empty() || (window_.decisions < options_.decisions_min && !window_.switched_off)) return false;
  const double changed = window_.ChangedFraction();
  const uint64_t decisions = window_.decisions;
  const bool stopped = window_.switched_off;
  window_ = {};
  if (changed <= options_.changed_max && !stopped) return false;
  if (changed <= options_.changed_max) {
    off_reason_ = absl::StrFormat("the routing bias is switched off: an attention node found more than the %.2f %% of --routing-bias-changed-max changed", 100 * options_.changed_max);
    return true;
  }
  off_reason_ = absl::StrFormat("the routing bias is switched off: it changed %.2f %% of the last %d decisions, more than the %.2f %% of --routing-bias-changed-max",
                                100 * changed, decisions, 100 * options_.changed_max);
  return true;
}

}  // namespace atoll::router
