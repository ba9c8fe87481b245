#include "router/balance/load_history.h"

#include <algorithm>
#include <cmath>

namespace atoll::router {
namespace {

constexpr int kBatches = 4;            // parts that planners see as batches
constexpr double kHalfLifeParts = 8;   // of a part's weight in the expected loads
constexpr size_t kNodesMax = 4096;     // attention nodes whose steps are counted

}  // namespace

LoadHistory::LoadHistory(const model::Placement& shape, int64_t window_steps)
    : layers_(shape.layers),
      experts_(shape.experts),
      layer_has_experts_(shape.layer_has_experts),
      steps_per_part_(std::max(1.0, static_cast<double>(window_steps) / kParts)) {
  for (Part& part : parts_) {
    part.prompt.assign(layers_ * experts_, 0);
    part.generated.assign(layers_ * experts_, 0);
  }
}

void LoadHistory::AddTo(std::vector<float>& sums, int32_t layer, std::span<const uint64_t> rows) {
  double added = 0;
  for (size_t e = 0; e < rows.size(); ++e) {
    sums[layer * experts_ + e] += static_cast<float>(rows[e]);
    added += static_cast<double>(rows[e]);
  }
  parts_[newest_].rows += added;
  rows_ += added;
}

void LoadHistory::Add(const RowsOfLayer& rows) {
  AddTo(parts_[newest_].prompt, rows.layer, rows.prompt);
  AddTo(parts_[newest_].generated, rows.layer, rows.generated);
}

void LoadHistory::AddSteps(const std::string& node, uint64_t steps) {
  if (steps_in_part_.size() >= kNodesMax && !steps_in_part_.contains(node)) steps_in_part_.clear();
  double& run = steps_in_part_[node];
  run += static_cast<double>(steps);
  if (run < steps_per_part_ || parts_[newest_].rows == 0) return;
  steps_in_part_.clear();
  newest_ = (newest_ + 1) % kParts;
  Part& oldest = parts_[newest_];
  rows_ = std::max(0.0, rows_ - oldest.rows);
  std::fill(oldest.prompt.begin(), oldest.prompt.end(), 0.0f);
  std::fill(oldest.generated.begin(), oldest.generated.end(), 0.0f);
  oldest.rows = 0;
}

ClusterLoads LoadHistory::Loads() const {
  ClusterLoads loads;
  loads.expected.resize(layers_);
  loads.batches.resize(layers_);
  for (int64_t layer = 0; layer < layers_; ++layer) {
    if (!layer_has_experts_[layer]) continue;
    std::vector<double>& expected = loads.expected[layer];
    expected.assign(experts_, 0);
    double total = 0;
    for (int age = 0; age < kParts; ++age) {
      const Part& part = PartOfAge(age);
      if (part.rows == 0) continue;
      std::vector<double> batch(experts_);
      double rows = 0;
      for (int64_t e = 0; e < experts_; ++e) rows += batch[e] = double{part.prompt[layer * experts_ + e]} + part.generated[layer * experts_ + e];
      const double weight = std::exp2(-age / kHalfLifeParts);
      for (int64_t e = 0; e < experts_; ++e) expected[e] += weight * batch[e];
      total += rows;
      if (rows > 0 && loads.batches[layer].size() < kBatches) loads.batches[layer].push_back(std::move(batch));
    }
    if (total > 0) continue;
    expected.clear();
    if (static_cast<size_t>(layer) < cold_start_.size()) expected = cold_start_[layer];
  }
  return loads;
}

std::vector<std::vector<double>> LoadHistory::Sums(bool generated) const {
  std::vector<std::vector<double>> sums(layers_, std::vector<double>(experts_, 0));
  for (const Part& part : parts_) {
    const std::vector<float>& rows = generated ? part.generated : part.prompt;
    for (int64_t i = 0; i < layers_ * experts_; ++i) sums[i / experts_][i % experts_] += rows[i];
  }
  return sums;
}

}  // namespace atoll::router
