#include "router/placement/eplb.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace atoll::router {
namespace {

struct Packing {
  std::vector<int32_t> pack;  // [items]
  std::vector<int32_t> rank;  // [items], place within the pack
};

// Equally many items in each pack, heaviest first into the lightest pack with room (the first such one).
Packing PackEvenly(const std::vector<float>& weight, int32_t packs) {
  const auto items = static_cast<int32_t>(weight.size());
  const int32_t room = items / packs;
  std::vector<int32_t> order(items);
  std::iota(order.begin(), order.end(), 0);
  Packing packing{order, std::vector<int32_t>(items, 0)};
  if (room == 1) return packing;
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return weight[a] > weight[b]; });
  std::vector<float> sum(packs, 0);
  std::vector<int32_t> used(packs, 0);
  for (const int32_t item : order) {
    int32_t best = -1;
    for (int32_t p = 0; p < packs; ++p)
      if (used[p] < room && (best < 0 || sum[p] < sum[best])) best = p;
    packing.pack[item] = best;
    packing.rank[item] = used[best]++;
    sum[best] += weight[item];
  }
  return packing;
}

struct Copies {
  std::vector<int32_t> expert;  // [replicas]
  std::vector<int32_t> count;   // [experts]
};

Copies Replicate(const std::vector<float>& weight, int32_t replicas) {
  Copies copies{std::vector<int32_t>(weight.size()), std::vector<int32_t>(weight.size(), 1)};
  std::iota(copies.expert.begin(), copies.expert.end(), 0);
  while (static_cast<int32_t>(copies.expert.size()) < replicas) {
    int32_t best = 0;
    float best_load = -1;
    for (size_t e = 0; e < weight.size(); ++e) {
      const float load = weight[e] / static_cast<float>(copies.count[e]);
      if (load > best_load) best_load = load, best = static_cast<int32_t>(e);
    }
    copies.expert.push_back(best);
    ++copies.count[best];
  }
  return copies;
}

// `order` is one server's experts.
void PlanServer(std::span<const float> loads, std::span<const int32_t> order, const EplbShape& per_server, EplbLayer& layer) {
  std::vector<float> weight;
  for (const int32_t e : order) weight.push_back(loads[e]);
  const Copies copies = Replicate(weight, per_server.replicas);
  std::vector<float> piece;
  for (const int32_t e : copies.expert) piece.push_back(weight[e] / static_cast<float>(copies.count[e]));
  const Packing packing = PackEvenly(piece, per_server.gpus);
  const size_t base = layer.physical_to_logical.size();
  layer.physical_to_logical.resize(base + per_server.replicas);
  const int32_t room = per_server.replicas / per_server.gpus;
  for (int32_t i = 0; i < per_server.replicas; ++i)
    layer.physical_to_logical[base + packing.pack[i] * room + packing.rank[i]] = order[copies.expert[i]];
  for (size_t e = 0; e < order.size(); ++e) layer.copies[order[e]] = copies.count[e];
}

absl::Status CheckShape(std::span<const float> loads, const EplbShape& shape) {
  const auto experts = static_cast<int32_t>(loads.size());
  const bool positive = experts > 0 && shape.groups > 0 && shape.servers > 0 && shape.gpus > 0;
  if (!positive || shape.replicas % shape.gpus != 0 || shape.gpus % shape.servers != 0 || experts % shape.groups != 0 ||
      shape.replicas < experts) {
    return absl::InvalidArgumentError(absl::StrCat("EPLB: ", shape.replicas, " replicas of ", experts, " experts in ", shape.groups,
                                                   " groups do not divide over ", shape.gpus, " GPUs on ", shape.servers, " servers"));
  }
  for (const float load : loads)
    if (!std::isfinite(load) || load < 0) return absl::InvalidArgumentError("EPLB: expected loads of 0 or more");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<EplbLayer> PlanEplb(std::span<const float> loads, const EplbShape& shape) {
  ATOLL_RETURN_IF_ERROR(CheckShape(loads, shape));
  const bool hierarchical = shape.groups % shape.servers == 0;
  const int32_t groups = hierarchical ? shape.groups : 1, servers = hierarchical ? shape.servers : 1;
  const int32_t group_size = static_cast<int32_t>(loads.size()) / groups, groups_each = groups / servers;
  std::vector<float> group_load(groups, 0);
  for (size_t e = 0; e < loads.size(); ++e) group_load[e / group_size] += loads[e];
  const Packing packing = PackEvenly(group_load, servers);
  std::vector<int32_t> order(loads.size());  // experts, server by server
  for (int32_t g = 0; g < groups; ++g)
    for (int32_t i = 0; i < group_size; ++i)
      order[(packing.pack[g] * groups_each + packing.rank[g]) * group_size + i] = g * group_size + i;
  EplbLayer layer{{}, std::vector<int32_t>(loads.size(), 0)};
  const size_t each = loads.size() / servers;
  for (int32_t s = 0; s < servers; ++s) {
    PlanServer(loads, std::span(order).subspan(s * each, each), {shape.replicas / servers, 1, 1, shape.gpus / servers}, layer);
  }
  return layer;
}

std::vector<double> EplbLevels(const EplbLayer& layer, std::span<const double> loads, int32_t gpus) {
  const size_t room = layer.physical_to_logical.size() / gpus;
  std::vector<double> levels(gpus, 0);
  for (size_t s = 0; s < layer.physical_to_logical.size(); ++s) {
    const int32_t e = layer.physical_to_logical[s];
    levels[s / room] += loads[e] / layer.copies[e];
  }
  return levels;
}

LayerPlacement PlacementOfEplb(const EplbLayer& layer, int32_t gpus) {
  const size_t room = layer.physical_to_logical.size() / gpus;
  std::vector<std::vector<int32_t>> hosts(layer.copies.size());
  for (size_t s = 0; s < layer.physical_to_logical.size(); ++s)
    hosts[layer.physical_to_logical[s]].push_back(static_cast<int32_t>(s / room));
  return PlacementOfHosts(hosts);
}

}  // namespace atoll::router
