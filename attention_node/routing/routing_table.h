#pragma once

// Where the experts of every layer can be sent under one view of the cluster, laid out for the choices of every step.
// Making one takes milliseconds for a large model: the thread that brings the view does it, never the step thread.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "attention_node/replica_choice/replica_choice.h"
#include "node/cluster.h"

namespace atoll::attention_node {

struct LayerReplicas {
  std::vector<int32_t> first;             // [experts + 1]: expert e has the replicas first[e] to first[e + 1] - 1
  std::vector<int32_t> node;              // [replicas], index into the view's expert nodes
  std::unique_ptr<ReplicaChoice> choice;  // null where no expert has two

  std::span<const int32_t> NodesOf(int32_t expert) const {
    return std::span(node).subspan(first[expert], first[expert + 1] - first[expert]);
  }
};

struct RoutingOptions {
  ExpertRoofline roofline;
  uint32_t salt = 0;  // a number of this attention node, so that nodes with equal counts split them differently
};

// The view is for any thread; the layers' choices have workspaces, which are the step thread's.
class RoutingTable {
 public:
  RoutingTable() = default;  // before the first view: no layer has experts
  // Replicas on nodes that the view calls dead are left out, except where an expert would have none.
  RoutingTable(node::ClusterView view, const RoutingOptions& options);

  const node::ClusterView& view() const { return view_; }
  uint64_t epoch() const { return view_.placement.epoch; }
  bool HasExperts(int32_t layer) const { return view_.placement.Contains({layer, 0}); }
  LayerReplicas& Layer(int32_t layer) { return layers_[layer]; }
  int32_t nodes() const { return static_cast<int32_t>(view_.expert_nodes.size()); }

 private:
  LayerReplicas MakeLayer(int32_t layer, const RoutingOptions& options) const;
  void AddReplicas(model::ExpertId expert, std::vector<int32_t>& node) const;

  node::ClusterView view_;
  std::vector<LayerReplicas> layers_;
};

}  // namespace atoll::attention_node
