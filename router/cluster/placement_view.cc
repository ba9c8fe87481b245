// The view that PlacementKeeper publishes.

#include <algorithm>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "router/balance/shares.h"
#include "router/cluster/placement_keeper.h"

namespace atoll::router {
namespace {

// Shares that moved less than this are not worth a new view.
constexpr double kShareMoves = 0.02;

bool SameHosts(const model::Placement& a, const model::Placement& b) {
  if (a.node_ids != b.node_ids) return false;
  for (size_t i = 0; i < a.replicas.size(); ++i) {
    const auto same = [](const model::Replica& x, const model::Replica& y) { return x.node == y.node; };
    if (!std::equal(a.replicas[i].begin(), a.replicas[i].end(), b.replicas[i].begin(), b.replicas[i].end(), same)) return false;
  }
  return true;
}

bool AlikeShares(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b) {
  const auto near = [](float x, float y) { return std::abs(x - y) <= kShareMoves; };
  const auto alike = [&](const std::vector<float>& x, const std::vector<float>& y) { return std::equal(x.begin(), x.end(), y.begin(), y.end(), near); };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), alike);
}

std::vector<std::vector<float>> DeltasOf(const RoutingBias& bias, int64_t layers) {
  std::vector<std::vector<float>> deltas(static_cast<size_t>(layers));
  for (int32_t layer = 0; layer < layers; ++layer) {
    const std::span<const float> of_layer = bias.DeltaOf(layer);
    deltas[layer].assign(of_layer.begin(), of_layer.end());
  }
  return deltas;
}

}  // namespace

std::vector<ExpertPeer> PlacementKeeper::PeersOf(const ServingTable& table) const {
  std::vector<ExpertPeer> peers;
  for (size_t n = 0; n < table.placement.node_ids.size(); ++n) {
    const std::string& id = table.placement.node_ids[n];
    const Node* node = registry_->Find(id);
    if (node == nullptr) {
      // Forgotten by the registry; it is as good as lost, and nobody has its address.
      peers.push_back({.node_id = id, .incarnation = 0, .control_address = "", .speed = 1, .alive = false});
    } else {
      peers.push_back({id, node->hello.incarnation, node->hello.control_address, meter_.SpeedOf(id), node->alive && table.loaded[n]});
    }
  }
  return peers;
}

void PlacementKeeper::Publish(const Following& following, Orders& orders) {
  const int32_t attention_nodes = std::max(1, following.nodes);
  // A view with a greater epoch than ours comes from a router before us: ours must follow it.
  const bool overtaken = view_ != nullptr && following.seen > view_->epoch;
  view_stale_ |= overtaken || (view_ != nullptr && view_->attention_nodes != attention_nodes);
  if (!placed_ || !view_stale_ || (view_ == nullptr && !holdings_.AllReady())) return;
  ServingTable table = ServingNow(holdings_, migration_.freeing(), wanted_);
  if (table.lost > 0 && !migration_.freeing().empty()) {
    ServingTable whole = ServingNow(holdings_, {}, wanted_);
    if (whole.lost < table.lost) {
      // It was planned for replicas that are not there any more.
      migration_.GiveUp();
      policy_.Mend(0);
      table = std::move(whole);
    }
  }
  if (view_ == nullptr && table.lost > 0) return;
  view_stale_ = false;
  lost_ = table.lost;
  std::vector<ExpertPeer> peers = PeersOf(table);
  std::vector<std::vector<float>> expected_share = ExpectedShares(table.placement, expected_);
  bias_.Mend(table.placement.node_ids, attention_nodes - 1, expected_share);
  std::vector<std::vector<float>> routing_bias = DeltasOf(routing_bias_, table.placement.layers);
  if (view_ != nullptr && !overtaken && peers == view_->expert_nodes && view_->attention_nodes == attention_nodes &&
      SameHosts(table.placement, *view_->placement) && AlikeShares(expected_share, view_->expected_share) &&
      view_->routing_bias_epsilon == routing_bias_.epsilon() && view_->routing_bias == routing_bias) {
    return;
  }
  if (view_ != nullptr && view_->routing_bias_epsilon > 0 && routing_bias_.epsilon() == 0) orders.log.push_back(routing_bias_.off_reason());
  const bool same_members = view_ != nullptr && peers == view_->expert_nodes;
  table.placement.epoch = wanted_.epoch;
  view_ = std::make_shared<const ClusterView>(ClusterView{.epoch = epochs_->Next(),
                                                          .expert_nodes = std::move(peers),
                                                          .placement = std::make_shared<const model::Placement>(std::move(table.placement)),
                                                          .attention_nodes = attention_nodes,
                                                          .expected_share = std::move(expected_share),
                                                          .routing_bias_epsilon = routing_bias_.epsilon(),
                                                          .routing_bias_changed_max = static_cast<float>(options_.routing_bias.changed_max),
                                                          .routing_bias = std::move(routing_bias)});
  if (same_members) return;
  const auto live = std::count_if(view_->expert_nodes.begin(), view_->expert_nodes.end(), [](const ExpertPeer& p) { return p.alive; });
  orders.log.push_back(absl::StrCat("view of epoch ", view_->epoch, ": ", live, " of ", view_->expert_nodes.size(), " expert nodes serve"));
}

}  // namespace atoll::router
