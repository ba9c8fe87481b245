#include "router/placement/quick_plan.h"

#include <algorithm>
#include <numeric>

#include "router/placement/copies.h"
#include "router/placement/even_parts.h"
#include "router/placement/packing.h"

namespace atoll::router {
namespace {

// The replica graph is a shallow tree of hubs. Noise of a batch has to flow through the experts that two nodes share, so
// the hottest experts come first and lie in the middle; each further one joins fresh nodes to the hub nearest to the
// middle that its shared experts do not fill by themselves. A hub may hold more than its even part: it can send all of it away.
class QuickPlanner {
 public:
  QuickPlanner(std::span<const double> loads, const LayerNodes& nodes, int32_t min_replicas)
      : packing_(loads, nodes, CountCopies(loads, nodes, min_replicas)), order_(loads.size()), depth_(nodes.count(), kOutside),
        root_(nodes.count()) {
    std::iota(order_.begin(), order_.end(), 0);
    std::vector<double> piece(loads.size());
    for (size_t e = 0; e < loads.size(); ++e) piece[e] = packing_.piece(static_cast<int32_t>(e));
    std::sort(order_.begin(), order_.end(), [&](int32_t a, int32_t b) { return piece[a] != piece[b] ? piece[a] > piece[b] : a < b; });
    std::iota(root_.begin(), root_.end(), 0);
    int64_t extra = 0;
    for (int32_t n = 0; n < nodes.count(); ++n)
      if (nodes.slots[n] > 0) outside_.push_back(n);
    for (const int32_t e : order_) extra += packing_.copies(e) - 1;
    joins_all_ = extra + 1 >= static_cast<int64_t>(outside_.size());
    // The fastest node is in the middle.
    std::stable_sort(outside_.begin(), outside_.end(), [&](int32_t a, int32_t b) { return nodes.speed[a] > nodes.speed[b]; });
  }

  LayerPlacement Plan(bool even_thoroughly) {
    for (const int32_t e : order_) {
      if (packing_.copies(e) == 1) continue;
      if (joins_all_) PutInTree(e);
      while (static_cast<int32_t>(packing_.HostsOf(e).size()) < packing_.copies(e) && PutShared(e)) {}
      for (const int32_t host : packing_.HostsOf(e)) root_[Root(host)] = Root(packing_.HostsOf(e)[0]);
    }
    PutSingles();
    if (!joins_all_) EvenParts(packing_, static_cast<int32_t>(order_.size()), even_thoroughly);
    return packing_.Finish();
  }

 private:
  static constexpr int32_t kOutside = -1;

  int32_t Root(int32_t n) {
    while (root_[n] != n) n = root_[n] = root_[root_[n]];
    return n;
  }

  // One replica at a hub, the others on nodes that the tree does not reach yet, in other failure domains where it goes.
  void PutInTree(int32_t e) {
    int32_t depth = 0;
    if (const int32_t hub = NearestHub(); hub >= 0) {
      packing_.Put(e, hub);
      depth = depth_[hub] + 1;
    }
    while (!outside_.empty() && static_cast<int32_t>(packing_.HostsOf(e).size()) < packing_.copies(e)) {
      auto next = std::find_if(outside_.begin(), outside_.end(), [&](int32_t n) { return !packing_.SharesDomain(e, n); });
      if (next == outside_.end()) next = outside_.begin();
      depth_[*next] = depth;
      packing_.Put(e, *next);
      outside_.erase(next);
    }
  }

  // -1 while there is no tree, or no node of it has a slot.
  int32_t NearestHub() const {
    int32_t best = -1;
    std::pair<int32_t, double> best_key;
    for (int32_t n = 0; n < packing_.nodes().count(); ++n) {
      if (depth_[n] == kOutside || packing_.full(n)) continue;
      const bool filled = packing_.level(n) > packing_.mean_level();
      const std::pair<int32_t, double> key{filled ? INT32_MAX : depth_[n], packing_.level(n)};
      if (best < 0 || key < best_key) best = n, best_key = key;
    }
    return best;
  }

  // The emptiest node, another failure domain and (while the graph has parts) another part first.
  bool PutShared(int32_t e) {
    int32_t best = -1;
    std::pair<int32_t, double> best_key;
    for (int32_t n = 0; n < packing_.nodes().count(); ++n) {
      if (packing_.full(n) || packing_.Holds(e, n)) continue;
      int32_t bad = packing_.SharesDomain(e, n) ? 2 : 0;
      if (!joins_all_)
        for (const int32_t host : packing_.HostsOf(e)) bad |= Root(host) == Root(n) ? 1 : 0;
      const std::pair<int32_t, double> key{bad, packing_.level(n)};
      if (best < 0 || key < best_key) best = n, best_key = key;
    }
    if (best < 0) return packing_.PutByMoving(e);
    packing_.Put(e, best);
    return true;
  }

  void PutSingles() {
    using Room = std::pair<double, int32_t>;
    std::vector<Room> heap;
    for (int32_t n = 0; n < packing_.nodes().count(); ++n)
      if (!packing_.full(n)) heap.emplace_back(packing_.level(n), n);
    std::make_heap(heap.begin(), heap.end(), std::greater<>());
    for (const int32_t e : order_) {
      if (packing_.copies(e) > 1) continue;
      std::pop_heap(heap.begin(), heap.end(), std::greater<>());
      const int32_t node = heap.back().second;
      packing_.Put(e, node);
      if (packing_.full(node)) {
        heap.pop_back();
      } else {
        heap.back().first = packing_.level(node);
        std::push_heap(heap.begin(), heap.end(), std::greater<>());
      }
    }
  }

  Packing packing_;
  std::vector<int32_t> order_;    // experts, largest pieces first
  std::vector<int32_t> depth_;    // [nodes]: steps from the middle of the tree
  std::vector<int32_t> outside_;  // nodes that the tree does not reach yet
  std::vector<int32_t> root_;     // [nodes]: union-find over the parts of the graph
  bool joins_all_ = false;
};

}  // namespace

absl::StatusOr<LayerPlacement> PlanQuick(std::span<const double> loads, const LayerNodes& nodes, const QuickPlanOptions& options) {
  const auto experts = static_cast<int64_t>(loads.size());
  if (nodes.slots_total() < experts)
    return absl::ResourceExhaustedError(absl::StrCat("placement: ", experts, " experts of a layer do not fit in ", nodes.slots_total(),
                                                     " slots on ", nodes.count(), " nodes; add expert nodes or memory"));
  return QuickPlanner(loads, nodes, options.min_replicas).Plan(options.even_thoroughly);
}

}  // namespace atoll::router
