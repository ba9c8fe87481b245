// Properties of the choice of replicas over seeded placements and dispatches.

#include "attention_node/routing/replica_selector.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "attention_node/routing/route_rows.h"

namespace atoll::attention_node {
namespace {

constexpr int32_t kExperts = 64, kNodes = 7, kSlots = 8, kLayer = 1;

struct Case {
  node::ClusterView view;
  std::vector<int32_t> experts;  // [rows, kSlots]
  std::vector<bool> usable = std::vector<bool>(kNodes, true);
};

// Some experts with one replica, some with up to four; rows prefer low ids.
Case MakeCase(uint32_t seed, int32_t rows, int32_t copies_max = 4) {
  std::mt19937 random(seed);
  Case made;
  model::Placement& placement = made.view.placement;
  placement.epoch = 1;
  placement.layers = 2;
  placement.experts = kExperts;
  placement.layer_has_experts = {false, true};
  placement.replicas.resize(2 * kExperts);
  for (int32_t node = 0; node < kNodes; ++node) {
    placement.node_ids.push_back("n" + std::to_string(node));
    made.view.expert_nodes.push_back({placement.node_ids.back(), 1, "", 1.0 + static_cast<double>(random() % 3), true});
  }
  std::vector<int32_t> nodes(kNodes);
  std::iota(nodes.begin(), nodes.end(), 0);
  for (int32_t expert = 0; expert < kExperts; ++expert) {
    std::shuffle(nodes.begin(), nodes.end(), random);
    const int32_t copies = 1 + static_cast<int32_t>(random() % copies_max);
    for (int32_t i = 0; i < copies; ++i) placement.ReplicasOf({kLayer, expert}).push_back({nodes[i], 1.0 / copies});
  }
  for (int32_t row = 0; row < rows; ++row) {
    std::set<int32_t> chosen;
    while (chosen.size() < kSlots) chosen.insert(static_cast<int32_t>(std::min(random() % kExperts, random() % kExperts)));
    made.experts.insert(made.experts.end(), chosen.begin(), chosen.end());
  }
  return made;
}

bool Holds(const Case& from, int32_t expert, int32_t node) {
  const auto& replicas = from.view.placement.ReplicasOf({kLayer, expert});
  return std::any_of(replicas.begin(), replicas.end(), [&](const model::Replica& replica) { return replica.node == node; });
}

class Selection {
 public:
  explicit Selection(const Case& from) : table_(from.view, {}) {
    selector_.Begin(table_, kLayer, from.experts, from.usable);
    RouteRows(from.experts, kSlots, selector_, routes_);
  }
  const Routes& routes() const { return routes_; }
  // Node of (row, slot), -1 for a row that is not routed.
  std::vector<int32_t> Nodes(const Case& from) const {
    std::vector<int32_t> nodes(from.experts.size(), -1);
    for (size_t node = 0; node < routes_.by_node.size(); ++node) {
      for (const RoutedPair& pair : routes_.by_node[node]) {
        int32_t& at = nodes[pair.row * kSlots + pair.slot];
        EXPECT_EQ(at, -1) << "a pair goes to one replica";
        EXPECT_EQ(pair.expert, from.experts[pair.row * kSlots + pair.slot]);
        at = static_cast<int32_t>(node);
      }
    }
    return nodes;
  }

 private:
  RoutingTable table_;
  ReplicaSelector selector_;
  Routes routes_;
};

TEST(ReplicaSelector, EveryRowGoesToOneReplicaThatIsLoadedAndUsable) {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Case from = MakeCase(seed, seed % 3 == 0 ? 1 : static_cast<int32_t>(seed * seed % 700));
    // Dead to the view, or only lost to this node; sometimes both.
    if (seed % 2 == 0) from.usable[seed % kNodes] = false;
    if (seed % 5 == 0) from.usable[seed % 3] = false, from.view.expert_nodes[seed % 3].alive = false;
    const Selection selection(from);
    const std::vector<int32_t> nodes = selection.Nodes(from);
    std::set<int32_t> unrouted;
    for (const UnroutedRow& row : selection.routes().unrouted) {
      unrouted.insert(row.row);
      for (int32_t node = 0; node < kNodes; ++node) EXPECT_FALSE(Holds(from, row.expert, node) && from.usable[node]);
    }
    for (size_t pair = 0; pair < nodes.size(); ++pair) {
      if (unrouted.contains(static_cast<int32_t>(pair) / kSlots)) {
        EXPECT_EQ(nodes[pair], -1);
        continue;
      }
      ASSERT_GE(nodes[pair], 0);
      EXPECT_TRUE(Holds(from, from.experts[pair], nodes[pair]));
      EXPECT_TRUE(from.usable[nodes[pair]]);
    }
  }
}

TEST(ReplicaSelector, TheNumbersAreThoseOfTheSplit) {
  for (const int32_t rows : {1, 30, 500, 4000}) {
    SCOPED_TRACE(rows);
    const Case from = MakeCase(11, rows);
    const std::vector<int32_t> nodes = Selection(from).Nodes(from);
    EXPECT_EQ(nodes, Selection(from).Nodes(from)) << "the same input, the same choice";
    RoutingTable table(from.view, {});
    LayerReplicas& layer = table.Layer(kLayer);
    std::vector<int32_t> counts(kExperts), split(layer.node.size()), sent(layer.node.size());
    for (const int32_t expert : from.experts) ++counts[expert];
    layer.choice->Choose(counts, {}, 1, split);
    for (size_t pair = 0; pair < nodes.size(); ++pair) {
      const std::span<const int32_t> holders = layer.NodesOf(from.experts[pair]);
      ++sent[layer.first[from.experts[pair]] + (std::find(holders.begin(), holders.end(), nodes[pair]) - holders.begin())];
    }
    EXPECT_EQ(sent, split);
  }
}

// Against handing out each expert's rows replica by replica in row order.
TEST(ReplicaSelector, RowsGoWhereTheyGoAnyway) {
  for (uint32_t seed = 1; seed <= 5; ++seed) {
    const Case from = MakeCase(seed, 4000);
    RoutingTable table(from.view, {});
    LayerReplicas& layer = table.Layer(kLayer);
    std::vector<int32_t> counts(kExperts), left(layer.node.size());
    for (const int32_t expert : from.experts) ++counts[expert];
    layer.choice->Choose(counts, {}, 1, left);
    const std::vector<int32_t> nodes = Selection(from).Nodes(from);
    size_t visits = 0, visits_in_order = 0;
    for (size_t row = 0; row < from.experts.size() / kSlots; ++row) {
      std::set<int32_t> visited, visited_in_order;
      for (size_t pair = row * kSlots; pair < (row + 1) * kSlots; ++pair) {
        visited.insert(nodes[pair]);
        int32_t replica = layer.first[from.experts[pair]];
        while (left[replica] == 0) ++replica;
        --left[replica];
        visited_in_order.insert(layer.node[replica]);
      }
      visits += visited.size();
      visits_in_order += visited_in_order.size();
    }
    EXPECT_LT(static_cast<double>(visits), 0.95 * static_cast<double>(visits_in_order)) << seed;
  }
}

// Two like nodes hold everything; what the other attention nodes send goes to one of them alone.
TEST(ReplicaSelector, LeavesRoomForTheRowsOfOtherAttentionNodes) {
  Case from = MakeCase(3, 2000, 1);
  for (int32_t expert = 0; expert < kExperts; ++expert) from.view.placement.ReplicasOf({kLayer, expert}) = {{0, 0.5}, {1, 0.5}};
  for (node::ExpertPeer& peer : from.view.expert_nodes) peer.speed = 1;
  from.view.attention_nodes = 2;
  from.view.expected_share = {{}, {0.5, 0, 0, 0, 0, 0, 0}};
  const Selection selection(from);
  const auto sent = [&](int node) { return static_cast<double>(selection.routes().by_node[node].size()); };
  // Levels even out: 8,000 pairs come to node 0 besides the 16,000 of this node.
  EXPECT_NEAR(sent(0), 4000, 80);
  EXPECT_NEAR(sent(1), 12000, 80);
}

TEST(ReplicaSelector, NodesShareBySpeed) {
  Case from = MakeCase(3, 2000, 1);
  for (int32_t expert = 0; expert < kExperts; ++expert) from.view.placement.ReplicasOf({kLayer, expert}) = {{0, 0.5}, {1, 0.5}};
  from.view.expert_nodes[0].speed = 3;
  from.view.expert_nodes[1].speed = 1;
  const Selection selection(from);
  EXPECT_NEAR(static_cast<double>(selection.routes().by_node[0].size()), 12000, 240);
}

}  // namespace
}  // namespace atoll::attention_node
