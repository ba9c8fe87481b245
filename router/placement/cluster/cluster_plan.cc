#include "router/placement/cluster/cluster_plan.h"

#include <algorithm>
#include <numeric>

#include "router/placement/cluster/cluster_table.h"
#include "router/placement/full_plan.h"
#include "router/placement/quick_plan.h"
#include "router/placement/repair.h"

namespace atoll::router {
namespace {

using Hosts = std::vector<std::vector<int32_t>>;  // [experts]

// Each node's slots spread over the layers; what does not divide goes round, from node to node, so that the layers'
// totals differ by one at most and each holds every expert where all together do.
std::vector<std::vector<int32_t>> SlotsByLayer(const ClusterTable& table) {
  std::vector<std::vector<int32_t>> slots(table.moe_layers, std::vector<int32_t>(table.nodes.size(), 0));
  int64_t turn = 0;
  for (size_t n = 0; n < table.nodes.size(); ++n) {
    for (std::vector<int32_t>& layer : slots) layer[n] = static_cast<int32_t>(table.slots[n] / table.moe_layers);
    for (int64_t k = table.slots[n] % table.moe_layers; k > 0; --k) ++slots[turn++ % table.moe_layers][n];
  }
  return slots;
}

class Mender {
 public:
  Mender(const model::Placement& present, const ClusterTable& table, const ClusterLoads& loads, const ClusterPlanOptions& options)
      : present_(present), table_(table), loads_(loads), options_(options), free_(table.slots), bytes_left_(options.max_bytes),
        layers_(present.layers, Hosts(present.experts)) {
    for (size_t n = 0; n < table.nodes.size(); ++n) {
      for (const model::ExpertId& id : table.held[n]) layers_[id.layer][id.expert].push_back(static_cast<int32_t>(n));
      free_[n] -= static_cast<int64_t>(table.held[n].size());
    }
  }

  // False when memory is too scattered: an expert finds no slot although there are enough in all.
  bool Run(std::vector<LayerPlacement>& out) {
    for (int64_t n = 0; n < static_cast<int64_t>(free_.size()); ++n)
      if (free_[n] < 0) return false;
    if (!ForEachLayer([&](int32_t layer) { return Cover(layer, 1); })) return false;
    ForEachLayer([&](int32_t layer) { return Cover(layer, options_.min_replicas), true; });
    int64_t left = table_.moe_layers;
    ForEachLayer([&](int32_t layer) { return Fill(layer, left--), true; });
    out.resize(present_.layers);
    ForEachLayer([&](int32_t layer) { return out[layer] = Repaired(layer), true; });
    return true;
  }

 private:
  template <typename F>
  bool ForEachLayer(F each) {
    for (int32_t layer = 0; layer < present_.layers; ++layer)
      if (present_.layer_has_experts[layer] && !each(layer)) return false;
    return true;
  }

  bool Holds(const std::vector<int32_t>& hosts, int32_t node) const { return std::find(hosts.begin(), hosts.end(), node) != hosts.end(); }

  // The node with most free memory, another failure domain first; -1 where none has any.
  int32_t RoomFor(const std::vector<int32_t>& hosts) const {
    int32_t best = -1;
    std::pair<bool, double> best_key;
    for (int32_t n = 0; n < static_cast<int32_t>(free_.size()); ++n) {
      if (free_[n] <= 0 || Holds(hosts, n)) continue;
      const bool apart = std::none_of(hosts.begin(), hosts.end(), [&](int32_t host) { return table_.domain[host] == table_.domain[n]; });
      const std::pair<bool, double> key{apart, static_cast<double>(free_[n]) * table_.nodes[n].speed};
      if (best < 0 || key > best_key) best = n, best_key = key;
    }
    return best;
  }

  // The node of a replica that its layer can spare, of the expert with most copies (more than `keep`), which is freed on
  // the spot. -1 where there is none.
  int32_t MakeRoom(int32_t layer, const std::vector<int32_t>& hosts, size_t keep) {
    std::vector<int32_t>* spare = nullptr;
    int32_t at = -1;
    for (std::vector<int32_t>& other : layers_[layer])
      for (const int32_t n : other)
        if (other.size() > keep && !Holds(hosts, n) && (!spare || other.size() > spare->size())) spare = &other, at = n;
    if (!spare) return -1;
    spare->erase(std::find(spare->begin(), spare->end(), at));
    ++free_[at];
    return at;
  }

  bool Cover(int32_t layer, int32_t copies) {
    const std::vector<double> loads = LoadsOfLayer(loads_, layer, present_.experts);
    std::vector<int32_t> order(present_.experts);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return loads[a] > loads[b]; });
    for (const int32_t e : order) {
      std::vector<int32_t>& hosts = layers_[layer][e];
      while (static_cast<int32_t>(hosts.size()) < copies) {
        int32_t node = RoomFor(hosts);
        if (node < 0) node = MakeRoom(layer, hosts, hosts.size() + 1);
        if (node < 0) break;
        hosts.push_back(node);
        --free_[node];
      }
      if (hosts.empty()) return false;
    }
    return true;
  }

  // This layer's part of the free memory takes copies of the experts with the largest pieces.
  void Fill(int32_t layer, int64_t layers_left) {
    const std::vector<double> loads = LoadsOfLayer(loads_, layer, present_.experts);
    for (int32_t n = 0; n < static_cast<int32_t>(free_.size()); ++n) {
      for (int64_t k = (free_[n] + layers_left - 1) / layers_left; k > 0; --k) {
        int32_t best = -1;
        const auto piece = [&](int32_t e) { return loads[e] / static_cast<double>(layers_[layer][e].size()); };
        for (int32_t e = 0; e < present_.experts; ++e)
          if (!Holds(layers_[layer][e], n) && (best < 0 || piece(e) > piece(best))) best = e;
        if (best < 0) break;
        layers_[layer][best].push_back(n);
        --free_[n];
      }
    }
  }

  LayerPlacement Repaired(int32_t layer) {
    LayerPlacement placement = PlacementOfHosts(layers_[layer]);
    const bool seen = layer < static_cast<int64_t>(loads_.batches.size()) && !loads_.batches[layer].empty();
    if (!seen || bytes_left_ < options_.expert_bytes || (options_.stop && options_.stop())) return placement;
    std::vector<int32_t> slots(table_.nodes.size(), 0);
    for (const int32_t n : placement.host) ++slots[n];
    RepairOptions repair{.min_replicas = options_.min_replicas, .seed = options_.seed + static_cast<uint64_t>(layer), .stop = options_.stop};
    repair.loads_max = static_cast<int32_t>(std::min<int64_t>(repair.loads_max, bytes_left_ / options_.expert_bytes));
    Repair repaired = RepairLayer(placement, loads_.batches[layer], table_.Layer(slots), repair);
    bytes_left_ -= repaired.loads * options_.expert_bytes;
    return std::move(repaired.placement);
  }

  const model::Placement& present_;
  const ClusterTable& table_;
  const ClusterLoads& loads_;
  const ClusterPlanOptions& options_;
  std::vector<int64_t> free_;  // [nodes]
  int64_t bytes_left_;
  std::vector<Hosts> layers_;  // [layers]
};

}  // namespace

absl::StatusOr<ClusterPlan> PlanCluster(const model::Placement& shape, const std::vector<ClusterNode>& nodes, const ClusterLoads& loads,
                                        const ClusterPlanOptions& options) {
  ATOLL_ASSIGN_OR_RETURN(const ClusterTable table, MakeClusterTable(shape, nodes, loads, options));
  std::vector<LayerPlacement> layers(shape.layers);
  if (table.moe_layers == 0) return FinishPlan(shape, table, layers, loads, options);
  const std::vector<std::vector<int32_t>> slots = SlotsByLayer(table);
  size_t next = 0;
  for (int32_t layer = 0; layer < shape.layers; ++layer) {
    if (!shape.layer_has_experts[layer]) continue;
    const LayerNodes layer_nodes = table.Layer(slots[next++]);
    const std::vector<double> expected = LoadsOfLayer(loads, layer, shape.experts);
    const bool search = options.full && !(options.stop && options.stop());
    FullPlanOptions full;
    full.min_replicas = options.min_replicas;
    full.seed = options.seed + static_cast<uint64_t>(layer);
    full.stop = options.stop;
    ATOLL_ASSIGN_OR_RETURN(layers[layer], search ? PlanFull(expected, layer_nodes, full) : PlanQuick(expected, layer_nodes, {options.min_replicas}));
  }
  return FinishPlan(shape, table, layers, loads, options);
}

absl::StatusOr<ClusterPlan> MendCluster(const model::Placement& present, const std::vector<ClusterNode>& nodes, const ClusterLoads& loads,
                                        const ClusterPlanOptions& options) {
  ATOLL_ASSIGN_OR_RETURN(const ClusterTable table, MakeClusterTable(present, nodes, loads, options));
  std::vector<LayerPlacement> layers;
  if (!Mender(present, table, loads, options).Run(layers)) return PlanCluster(present, nodes, loads, options);
  return FinishPlan(present, table, layers, loads, options);
}

}  // namespace atoll::router
