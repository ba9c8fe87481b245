#include "attention_node/routing/replica_selector.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace atoll::attention_node {

void ReplicaSelector::Begin(RoutingTable& table, int32_t layer, std::span<const int32_t> experts, const std::vector<bool>& usable) {
  layer_ = &table.Layer(layer);
  usable_ = &usable;
  nodes_ = table.nodes();
  if (layer_->choice != nullptr) Split(table, layer, experts);
}

void ReplicaSelector::Split(RoutingTable& table, int32_t layer, std::span<const int32_t> experts) {
  counts_.assign(layer_->first.size() - 1, 0);
  for (const int32_t expert : experts) ++counts_[expert];
  left_.resize(layer_->node.size());
  visited_.resize(nodes_, 0);
  covers_.resize(nodes_, 0);
  const node::ClusterView& view = table.view();
  const int32_t parts = std::max(1, view.attention_nodes);
  expected_.clear();
  if (parts > 1 && static_cast<size_t>(layer) < view.expected_share.size()) {
    for (const float share : view.expected_share[layer])
      expected_.push_back(share * static_cast<float>(parts - 1) * static_cast<float>(experts.size()));
  }
  layer_->choice->Choose(counts_, expected_, parts, left_);
  LeaveUnusable();
}

// The table knows only what the view says of a node. Between the loss of a link and the view that follows, its rows go to
// the replica that has least to do.
void ReplicaSelector::LeaveUnusable() {
  for (size_t expert = 0; expert + 1 < layer_->first.size(); ++expert) {
    for (int32_t r = layer_->first[expert]; r < layer_->first[expert + 1]; ++r) {
      if (left_[r] == 0 || (*usable_)[layer_->node[r]]) continue;
      int32_t best = -1;
      for (int32_t other = layer_->first[expert]; other < layer_->first[expert + 1]; ++other) {
        if ((*usable_)[layer_->node[other]] && (best < 0 || left_[other] < left_[best])) best = other;
      }
      if (best >= 0) left_[best] += std::exchange(left_[r], 0);
    }
  }
}

int32_t ReplicaSelector::ChooseRow(std::span<const int32_t> experts, std::span<int32_t> nodes) {
  if (layer_->choice == nullptr) return ChooseOnly(experts, nodes);
  ++row_;
  undecided_.clear();
  for (size_t slot = 0; slot < experts.size(); ++slot) {
    int32_t open = 0, replica = -1;
    for (int32_t r = layer_->first[experts[slot]]; r < layer_->first[experts[slot] + 1]; ++r) {
      if (Open(r)) replica = r, ++open;
    }
    if (open == 0) return experts[slot];
    if (open == 1) nodes[slot] = Take(replica);
    else undecided_.push_back(static_cast<int32_t>(slot));
  }
  if (undecided_.empty()) return -1;
  CountCovers(experts);
  for (const int32_t slot : undecided_) nodes[slot] = Take(Best(experts[slot]));
  return -1;
}

int32_t ReplicaSelector::ChooseOnly(std::span<const int32_t> experts, std::span<int32_t> nodes) const {
  for (size_t slot = 0; slot < experts.size(); ++slot) {
    const std::span<const int32_t> holders = layer_->NodesOf(experts[slot]);
    const auto usable = std::find_if(holders.begin(), holders.end(), [&](int32_t node) { return (*usable_)[node]; });
    if (usable == holders.end()) return experts[slot];
    nodes[slot] = *usable;
  }
  return -1;
}

int32_t ReplicaSelector::Take(int32_t replica) {
  --left_[replica];
  visited_[layer_->node[replica]] = row_;
  return layer_->node[replica];
}

void ReplicaSelector::CountCovers(std::span<const int32_t> experts) {
  std::fill(covers_.begin(), covers_.end(), 0);
  for (const int32_t slot : undecided_) {
    for (int32_t r = layer_->first[experts[slot]]; r < layer_->first[experts[slot] + 1]; ++r) {
      if (Open(r)) ++covers_[layer_->node[r]];
    }
  }
}

// A node that the row visits anyway, else the one that most of its other experts could go to, else the one that has most
// rows to get.
int32_t ReplicaSelector::Best(int32_t expert) const {
  int32_t best = -1;
  const auto worth = [&](int32_t r) { return std::tuple(visited_[layer_->node[r]] == row_, covers_[layer_->node[r]], left_[r]); };
  for (int32_t r = layer_->first[expert]; r < layer_->first[expert + 1]; ++r) {
    if (Open(r) && (best < 0 || worth(r) > worth(best))) best = r;
  }
  return best;
}

}  // namespace atoll::attention_node
