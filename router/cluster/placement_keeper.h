#pragma once

// Who holds which experts, now and next: what expert nodes are told to hold, the view of it that attention nodes follow, and
// the way from one placement to the next. Planning itself runs elsewhere: a job goes out as an order and its result comes
// back as an event. Plain code with time passed in; thread-compatible.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "router/balance/balance_policy.h"
#include "router/balance/holdings.h"
#include "router/balance/load_history.h"
#include "router/balance/migration.h"
#include "router/balance/plan_job.h"
#include "router/balance/speed_meter.h"
#include "router/balance/watchdog.h"
#include "router/cluster/balancer_report.h"
#include "router/cluster/epochs.h"
#include "router/cluster/orders.h"
#include "router/cluster/placement_options.h"
#include "router/cluster/registry.h"
#include "router/placement/experts_to_place.h"

namespace atoll::router {

class PlacementKeeper {
 public:
  // registry and epochs outlive the keeper.
  PlacementKeeper(PlacementOptions options, const ExpertsToPlace& experts, const Registry* registry, Epochs* epochs);

  void OnJoin(const Node& node, int64_t now_ns);  // an expert node
  void OnLost(const std::string& node_id, int64_t now_ns);
  void OnLeaving(const std::string& node_id, int64_t now_ns);
  void OnHeartbeat(const Node& node, const NodeHeartbeat& heartbeat);
  void OnPlan(const PlanResult& result, Orders& orders);
  // What follows from all of that.
  void Advance(int64_t now_ns, const Following& following, Orders& orders);

  void AskForPlan(bool full);
  // FAILED_PRECONDITION: there is no plan to apply, or the cluster has changed since.
  absl::Status ApplyPlan(Orders& orders);
  void Freeze(bool frozen, Orders& orders);

  // Null until every expert is loaded for the first time.
  const std::shared_ptr<const ClusterView>& view() const { return view_; }
  int64_t lost_experts() const { return lost_; }  // of the view
  const Holdings& holdings() const { return holdings_; }
  const std::string& why_no_placement() const { return why_no_placement_; }
  bool placed() const { return placed_; }
  // To split by.
  double SpeedOf(const Node& node) const { return node.alive ? meter_.SpeedOf(node.hello.node_id) : node.hello.speed; }
  const RoutingBias& routing_bias() const { return routing_bias_; }
  BalancerReport Report(int64_t now_ns) const;

 private:
  struct Proposal {
    ClusterPlan plan;
    uint64_t generation = 0;
  };

  void StartJob(int64_t now_ns, Orders& orders);
  PlanJob MakeJob(PlanKind kind);
  std::vector<ClusterNode> NodesNow() const;
  int64_t SlotsToUse(const Holding& holding) const;
  int64_t NodesToPlaceOn() const;
  void Refuse(const PlanResult& result, Orders& orders);
  void Accept(const ClusterPlan& plan, PlanKind kind, Orders& orders);
  std::vector<MigrationStep> StepsOf(const ClusterPlan& plan, std::vector<std::string>& node_ids) const;
  void Changed();
  void Migrate(int64_t now_ns, const Following& following, Orders& orders);
  void Assign(Orders& orders);
  void LetGo(Orders& orders);
  void Publish(const Following& following, Orders& orders);
  std::vector<ExpertPeer> PeersOf(const ServingTable& table) const;
  void Forget();
  void Watch(int64_t now_ns, Orders& orders);
  std::string Activity() const;

  const PlacementOptions options_;
  const ExpertsToPlace experts_;
  const Registry* const registry_;
  Epochs* const epochs_;
  Holdings holdings_;
  Migration migration_;
  PlanKind migration_kind_ = PlanKind::kFirst;
  BalancePolicy policy_;
  LoadHistory history_;
  SpeedMeter meter_;
  ShareBias bias_;
  RoutingBias routing_bias_;
  Watchdog watchdog_;
  std::map<std::string, uint64_t> rows_run_;  // of expert nodes, since the last step of the bias
  int64_t meter_at_ns_ = 0;
  bool placed_ = false;
  std::string why_no_placement_;
  model::Placement wanted_;  // the newest plan's
  std::vector<std::vector<double>> expected_;  // loads that it was made for
  BalancerReport::LastPlan last_plan_;
  std::optional<Proposal> proposal_;
  bool proposal_wanted_ = false;  // the job that runs is an operator's
  uint64_t generation_ = 0;       // of what plans start from
  uint64_t job_ = 0;              // that runs; 0: none
  PlanKind job_kind_ = PlanKind::kFirst;
  uint64_t last_job_ = 0;
  std::vector<std::vector<double>> job_expected_;
  bool last_plan_failed_ = false;
  std::set<std::string> let_go_;  // draining nodes that were told so

  bool view_stale_ = true;  // something that a view is made of has changed
  std::shared_ptr<const ClusterView> view_;
  int64_t lost_ = 0;
};

}  // namespace atoll::router
