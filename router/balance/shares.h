#pragma once

// How much of each expert's rows its replicas are expected to get. Attention nodes split every batch anew and exactly; what
// stands here is what they assume of each other, and what they fall back on.

#include <map>
#include <string>
#include <vector>

#include "model/placement.h"
#include "router/placement/cluster/cluster_plan.h"

namespace atoll::router {

// Shares of the exact split of the expected loads over the nodes' speeds ([nodes] of the placement); a layer without load
// counts as even.
void SplitExactly(const ClusterLoads& loads, const std::vector<double>& speeds, model::Placement& placement);

// [layers][nodes] fraction of a layer's rows that each node gets by the shares; empty for a layer without expected load.
std::vector<std::vector<float>> ExpectedShares(const model::Placement& placement, const std::vector<std::vector<double>>& expected);

// Mean over layers with experts of mean / highest level under the exact split: 1 is perfect.
double BalanceOf(const model::Placement& placement, const ClusterLoads& loads, const std::vector<double>& speeds);

// The slow outer loop, by the sign rule: the shares of replicas on nodes that were busier than the mean grow a little, for
// they are what attention nodes, which split exactly, assume that the others send there. The other way round, each would
// send still more to the busy node, and the loop would drive itself off.
class ShareBias {
 public:
  explicit ShareBias(double gamma) : gamma_(gamma) {}

  // levels: rows over speed of each node since the last step. Nodes that are not named are forgotten.
  void Step(const std::map<std::string, double>& levels);
  // Nothing changes with a gamma of 0.
  void Apply(model::Placement& placement) const;

 private:
  double gamma_;
  std::map<std::string, double> bias_;
};

}  // namespace atoll::router
