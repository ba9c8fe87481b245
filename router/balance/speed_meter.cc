#include "router/balance/speed_meter.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace atoll::router {
namespace {

constexpr double kFadeBusyUs = 3e6;   // busy time after which a sample counts 1/e
constexpr double kSureBusyUs = 3e5;
constexpr double kSureRows = 2000;
constexpr double kFactorMax = 16;

}  // namespace

bool SpeedMeter::Measured::sure() const { return busy_us >= kSureBusyUs && weight >= kSureRows && weighted_rate > 0; }

void SpeedMeter::Join(const std::string& node, double declared) { nodes_[node] = Measured{.declared = declared}; }

// Samples count by their rows: with few rows an expert node reads weights, and its rows per time say little of its speed.
void SpeedMeter::Add(const std::string& node, uint64_t rows, uint64_t busy_us) {
  const auto found = nodes_.find(node);
  if (found == nodes_.end() || rows == 0 || busy_us == 0) return;
  Measured& measured = found->second;
  const double fade = std::exp(-static_cast<double>(busy_us) / kFadeBusyUs), count = static_cast<double>(rows);
  measured.weight = fade * measured.weight + count;
  measured.weighted_rate = fade * measured.weighted_rate + count * count / static_cast<double>(busy_us);
  measured.busy_us += static_cast<double>(busy_us);
}

bool SpeedMeter::Update() {
  std::vector<double> rates;
  for (const auto& [id, node] : nodes_)
    if (node.sure()) rates.push_back(node.rate());
  if (rates.size() < 2) return false;
  std::sort(rates.begin(), rates.end());
  // With two nodes the faster one, so that the slower is slow and not the other way round.
  const double usual = rates[rates.size() / 2];
  bool changed = false;
  for (auto& [id, node] : nodes_) {
    if (!node.sure()) continue;
    const double factor = std::clamp(node.rate() / usual, 1 / kFactorMax, kFactorMax);
    if (std::abs(factor / node.factor - 1) <= kChangeMin) continue;
    node.factor = factor;
    changed = true;
  }
  return changed;
}

double SpeedMeter::SpeedOf(const std::string& node) const {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? 1 : found->second.declared * found->second.factor;
}

}  // namespace atoll::router
