#pragma once

// How much of each expert's rows its replicas are expected to get. Attention nodes split every batch anew and exactly; what
// stands here is what they assume of each other, and what they fall back on.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "model/placement.h"
#include "router/balance/routing_bias/routing_bias.h"
#include "router/placement/cluster/cluster_plan.h"

namespace atoll::router {

// Shares of the exact split of the expected loads over the nodes' speeds ([nodes] of the placement); a layer without load
// counts as even.
void SplitExactly(const ClusterLoads& loads, const std::vector<double>& speeds, model::Placement& placement);

// [layers][nodes] fraction of a layer's rows that each node gets by the shares; empty for a layer without expected load.
std::vector<std::vector<float>> ExpectedShares(const model::Placement& placement, const std::vector<std::vector<double>>& expected);

// One step of every layer's deltas, from what each node gets by the shares of a split of the expected loads.
void StepRoutingBias(const model::Placement& placement, const std::vector<std::vector<double>>& expected,
                     const std::function<double(const std::string& node_id)>& speed_of, RoutingBias& bias);

// Mean over layers with experts of mean / highest level under the exact split: 1 is perfect.
double BalanceOf(const model::Placement& placement, const ClusterLoads& loads, const std::vector<double>& speeds);

// The slow outer loop: nodes that were busier than the mean are assumed to get a little more from the others, by the sign
// rule, so that every attention node sends a little less there.
class ShareBias {
 public:
  explicit ShareBias(double gamma) : gamma_(gamma) {}

  // levels: rows over speed of each node since the last step. Nodes that are not named are forgotten.
  void Step(const std::map<std::string, double>& levels);
  // expected_share: as ExpectedShares gives it for these nodes. others: attention nodes but one; each mends its own part.
  // Nothing changes with a gamma of 0.
  void Mend(const std::vector<std::string>& node_ids, int32_t others, std::vector<std::vector<float>>& expected_share) const;

 private:
  double gamma_;
  std::map<std::string, double> bias_;
};

}  // namespace atoll::router
