#include "router/cluster/expert_counters.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace atoll::router {
namespace {

void AddTo(std::vector<uint64_t>& sums, const std::vector<uint64_t>& counts) {
  for (size_t i = 0; i < counts.size(); ++i) sums[i] += counts[i];
}

bool HasTraffic(const LayerCounts& counts) {
  const auto any = [](const std::vector<uint64_t>& rows) { return std::any_of(rows.begin(), rows.end(), [](uint64_t r) { return r > 0; }); };
  return any(counts.prompt) || any(counts.generated);
}

}  // namespace

double ImbalanceOf(const LayerCounts& counts, const model::Placement& placement) {
  std::vector<double> rows(placement.node_ids.size(), 0);
  for (int32_t e = 0; e < placement.experts; ++e) {
    const auto count = static_cast<double>(counts.prompt[e] + counts.generated[e]);
    for (const model::Replica& replica : placement.ReplicasOf({counts.layer, e})) rows[replica.node] += replica.share * count;
  }
  const double mean = std::accumulate(rows.begin(), rows.end(), 0.0) / static_cast<double>(rows.size());
  return mean > 0 ? *std::max_element(rows.begin(), rows.end()) / mean : 1;
}

ExpertCounters::ExpertCounters(const model::Placement& shape)
    : experts_(shape.experts), layer_has_experts_(shape.layer_has_experts), sums_(shape.layers) {
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    sums_[layer] = {.layer = static_cast<int32_t>(layer), .prompt = std::vector<uint64_t>(experts_), .generated = std::vector<uint64_t>(experts_)};
  }
}

absl::Status ExpertCounters::Check(const LayerCounts& counts) const {
  const auto fits = [&](const std::vector<uint64_t>& rows) { return rows.empty() || static_cast<int64_t>(rows.size()) == experts_; };
  const bool known = counts.layer >= 0 && static_cast<size_t>(counts.layer) < sums_.size() && layer_has_experts_[counts.layer];
  if (known && fits(counts.prompt) && fits(counts.generated)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("expert counts of layer ", counts.layer, ": expected an MoE layer of ", experts_,
                                                 " experts, found lists of ", counts.prompt.size(), " and ", counts.generated.size()));
}

absl::Status ExpertCounters::Add(const std::vector<LayerCounts>& counts) {
  for (const LayerCounts& layer : counts) ATOLL_RETURN_IF_ERROR(Check(layer));
  for (const LayerCounts& layer : counts) {
    AddTo(sums_[layer.layer].prompt, layer.prompt);
    AddTo(sums_[layer.layer].generated, layer.generated);
  }
  return absl::OkStatus();
}

std::vector<LayerCounts> ExpertCounters::Sums() const {
  std::vector<LayerCounts> with_traffic;
  std::copy_if(sums_.begin(), sums_.end(), std::back_inserter(with_traffic), HasTraffic);
  return with_traffic;
}

std::vector<LayerBalance> ExpertCounters::Balance(const model::Placement& placement) const {
  std::vector<LayerBalance> balance;
  for (const LayerCounts& counts : sums_) {
    if (HasTraffic(counts)) balance.push_back({.layer = counts.layer, .imbalance = ImbalanceOf(counts, placement)});
  }
  return balance;
}

}  // namespace atoll::router
