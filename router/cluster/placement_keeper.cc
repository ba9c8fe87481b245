#include "router/cluster/placement_keeper.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace atoll::router {
namespace {

// A node that starts again at once gets its replicas back before others are made of them; only where no expert waits.
constexpr int64_t kMendAfterLossNs = 2'000'000'000;
constexpr int64_t kMeterEveryNs = 1'000'000'000;
constexpr int64_t kPlanAgainAfterNs = 1'000'000'000;
constexpr int64_t kStuckAfterMs = 60'000;

BalancerReport::LastPlan SummaryOf(const ClusterPlan& plan, PlanKind kind) {
  const auto loads = std::count_if(plan.steps.begin(), plan.steps.end(), [](const MigrationStep& step) { return step.load; });
  return {.kind = PlanKindName(kind),
          .failure = "",
          .balance_mean = plan.balance_mean,
          .balance_worst = plan.balance_worst,
          .loads = loads,
          .frees = static_cast<int64_t>(plan.steps.size()) - loads,
          .bytes = plan.bytes,
          .uncovered_by_one_loss = plan.uncovered_by_one_loss,
          .lost_at_planning = static_cast<int64_t>(plan.lost.size())};
}

}  // namespace

PlacementKeeper::PlacementKeeper(PlacementOptions options, const ExpertsToPlace& experts, const Registry* registry, Epochs* epochs)
    : options_(std::move(options)),
      experts_(experts),
      registry_(registry),
      epochs_(epochs),
      holdings_(model::EmptyPlacement(*experts.config, experts.with_mtp)),
      policy_(options_.balance),
      history_(holdings_.shape(), options_.balance.window_size),
      bias_(options_.balance.replica_bias_gamma),
      routing_bias_(options_.routing_bias, holdings_.shape().layers, holdings_.shape().experts),
      watchdog_(kStuckAfterMs) {
  history_.SetColdStart(options_.cold_start);
}

void PlacementKeeper::OnJoin(const Node& node, int64_t now_ns) {
  const uint64_t slots = node.hello.memory_bytes / static_cast<uint64_t>(experts_.expert_bytes);
  const auto all = static_cast<uint64_t>(holdings_.shape().replicas.size());
  holdings_.Join(node.hello.node_id, static_cast<int64_t>(std::min(slots, all)), node.hello.loaded);
  meter_.Join(node.hello.node_id, node.hello.speed);
  let_go_.erase(node.hello.node_id);
  policy_.Mend(now_ns);
  Changed();
}

void PlacementKeeper::OnLost(const std::string& node_id, int64_t now_ns) {
  if (holdings_.Find(node_id) == nullptr) return;
  holdings_.Lose(node_id);
  meter_.Leave(node_id);
  rows_run_.erase(node_id);
  Changed();
  const bool covered = placed_ && ServingNow(holdings_, {}, wanted_).lost == 0;
  policy_.Mend(covered ? now_ns + kMendAfterLossNs : now_ns);
}

void PlacementKeeper::OnLeaving(const std::string& node_id, int64_t now_ns) {
  holdings_.Drain(node_id);
  policy_.Mend(now_ns);
  Changed();
}

// What goes on was planned for other nodes; Holdings say what is there, and the next plan starts from that.
void PlacementKeeper::Changed() {
  migration_.GiveUp();
  ++generation_;
  job_ = 0;
  view_stale_ = true;
}

void PlacementKeeper::OnHeartbeat(const Node& node, const NodeHeartbeat& heartbeat) {
  if (node.hello.role == NodeRole::kAttention) {
    for (const LayerCounts& counts : heartbeat.expert_counts) history_.Add({counts.layer, counts.prompt, counts.generated});
    history_.AddSteps(node.hello.node_id, heartbeat.steps);
    policy_.AddSteps(node.hello.node_id, heartbeat.steps);
    view_stale_ |= routing_bias_.Count(heartbeat.routing_bias);
    return;
  }
  if (holdings_.OnReady(node.hello.node_id, heartbeat.epoch_ready)) view_stale_ = true;
  meter_.Add(node.hello.node_id, heartbeat.rows_run, heartbeat.busy_us);
  rows_run_[node.hello.node_id] += heartbeat.rows_run;
}

void PlacementKeeper::Advance(int64_t now_ns, const Following& following, Orders& orders) {
  if (now_ns >= meter_at_ns_) {
    meter_at_ns_ = now_ns + kMeterEveryNs;
    view_stale_ |= meter_.Update();
  }
  StartJob(now_ns, orders);
  Migrate(now_ns, following, orders);
  Assign(orders);
  Publish(following, orders);
  LetGo(orders);
  Forget();
  Watch(now_ns, orders);
}

int64_t PlacementKeeper::NodesToPlaceOn() const {
  const auto& nodes = holdings_.nodes();
  return std::count_if(nodes.begin(), nodes.end(), [](const auto& entry) { return entry.second.alive && !entry.second.draining; });
}

void PlacementKeeper::StartJob(int64_t now_ns, Orders& orders) {
  if (const int64_t nodes = NodesToPlaceOn(); !placed_ && nodes < std::max<int64_t>(1, options_.min_expert_nodes)) {
    if (!holdings_.nodes().empty()) why_no_placement_ = absl::StrCat(nodes, " of ", options_.min_expert_nodes, " expert nodes have joined");
    return;
  }
  if (job_ != 0 && !policy_.Urgent(now_ns)) return;
  const bool asked = policy_.asked();
  const std::optional<PlanKind> kind = policy_.Next({.now_ns = now_ns, .placed = placed_, .migrating = migration_.active()});
  if (!kind) return;
  proposal_wanted_ = asked && !policy_.asked();
  PlanJob job = MakeJob(*kind);
  job_ = job.id;
  job_kind_ = *kind;
  job_expected_ = job.loads.expected;
  orders.plans.push_back(std::move(job));
}

PlanJob PlacementKeeper::MakeJob(PlanKind kind) {
  PlanJob job;
  job.id = ++last_job_;
  job.kind = kind;
  job.present = holdings_.Assigned();
  job.nodes = NodesNow();
  job.loads = history_.Loads();
  job.present.epoch = wanted_.epoch;
  job.options = {.expert_bytes = experts_.expert_bytes,
                 .min_replicas = static_cast<int32_t>(options_.balance.min_replicas),
                 .full = kind == PlanKind::kFull,
                 .max_bytes = options_.balance.max_bytes,
                 .seed = last_job_,
                 .stop = {}};
  job.threshold = proposal_wanted_ ? 2 : options_.balance.threshold;  // an operator is shown a plan in any case
  if (kind == PlanKind::kShares) {
    std::map<std::string, double> levels;
    for (const auto& [id, rows] : rows_run_) levels[id] = static_cast<double>(rows) / meter_.SpeedOf(id);
    bias_.Step(levels);
    rows_run_.clear();
  }
  return job;
}

// Memory that the machine happens to have is no reason to load everything everywhere: copies beyond the coverage that was
// asked for pay up to about a quarter of the experts, or two for each node. What is there already stays.
int64_t PlacementKeeper::SlotsToUse(const Holding& holding) const {
  const model::Placement& shape = holdings_.shape();
  const auto layers = std::count(shape.layer_has_experts.begin(), shape.layer_has_experts.end(), true);
  const int64_t nodes = NodesToPlaceOn();
  const int64_t useful = layers * (shape.experts * options_.balance.min_replicas + std::max(shape.experts / 4, 2 * nodes));
  int64_t slots = 0;
  for (const auto& [id, other] : holdings_.nodes()) slots += other.alive && !other.draining ? other.slots : 0;
  if (slots <= useful) return holding.slots;
  const auto part = static_cast<int64_t>(static_cast<double>(holding.slots) * static_cast<double>(useful) / static_cast<double>(slots)) + 1;
  return std::min(holding.slots, std::max(part, static_cast<int64_t>(holding.assigned.size())));
}

std::vector<ClusterNode> PlacementKeeper::NodesNow() const {
  std::vector<ClusterNode> nodes;
  for (const auto& [id, holding] : holdings_.nodes()) {
    const Node* node = registry_->Find(id);
    if (!holding.alive || node == nullptr) continue;
    nodes.push_back({.node_id = id,
                     .speed = meter_.SpeedOf(id),
                     .memory_bytes = static_cast<uint64_t>(SlotsToUse(holding) * experts_.expert_bytes),
                     .host = node->hello.host,
                     .zone = node->hello.zone,
                     .draining = holding.draining});
  }
  return nodes;
}

void PlacementKeeper::OnPlan(const PlanResult& result, Orders& orders) {
  if (result.id != job_) return;  // the cluster has changed meanwhile
  job_ = 0;
  const bool proposed = std::exchange(proposal_wanted_, false);
  if (!result.plan.ok()) return Refuse(result, orders);
  last_plan_failed_ = false;
  if (proposed) {
    proposal_ = Proposal{*result.plan, generation_};
    expected_ = job_expected_;
    orders.log.push_back(absl::StrCat("a plan is ready: ", result.plan->steps.size(), " loads and frees"));
    return;
  }
  if (result.kind == PlanKind::kDrift && policy_.frozen()) return;
  expected_ = job_expected_;
  Accept(*result.plan, result.kind, orders);
}

void PlacementKeeper::Refuse(const PlanResult& result, Orders& orders) {
  const std::string message(result.plan.status().message());
  last_plan_failed_ = true;
  last_plan_ = {.kind = PlanKindName(result.kind), .failure = message};
  if (!placed_) why_no_placement_ = absl::IsResourceExhausted(result.plan.status()) ? absl::StrCat("the experts do not fit: ", message) : message;
  orders.log.push_back(absl::StrCat("no plan (", PlanKindName(result.kind), "): ", message));
}

// Planners leave draining nodes out: when all others have what they need, everything on those is freed.
std::vector<MigrationStep> PlacementKeeper::StepsOf(const ClusterPlan& plan, std::vector<std::string>& node_ids) const {
  std::vector<MigrationStep> steps = plan.steps;
  node_ids = plan.placement.node_ids;
  for (const auto& [id, holding] : holdings_.nodes()) {
    if (!holding.alive || !holding.draining) continue;
    for (const model::ExpertId& expert : holding.assigned) steps.push_back({false, expert, static_cast<int32_t>(node_ids.size())});
    node_ids.push_back(id);
  }
  return steps;
}

void PlacementKeeper::Accept(const ClusterPlan& plan, PlanKind kind, Orders& orders) {
  const uint64_t epoch = wanted_.epoch;
  wanted_ = plan.placement;
  view_stale_ = true;
  std::vector<std::string> node_ids;
  const std::vector<MigrationStep> steps = kind == PlanKind::kShares ? plan.steps : StepsOf(plan, node_ids);
  if (kind == PlanKind::kShares) StepRoutingBias(wanted_, expected_, [this](const std::string& id) { return meter_.SpeedOf(id); }, routing_bias_);
  else last_plan_ = SummaryOf(plan, kind);
  const bool first = !std::exchange(placed_, true);
  wanted_.epoch = first || !steps.empty() ? epochs_->Next() : epoch;
  why_no_placement_.clear();
  if (steps.empty()) return;
  ++generation_;
  proposal_.reset();
  migration_kind_ = kind;
  orders.log.push_back(absl::StrFormat("%s, epoch %d: %d expert nodes, %d replicas to load (%.1f MB), %d to free, balance %.4f; the loss of one node "
                                       "would leave %d experts without a replica",
                                       PlanKindName(kind), wanted_.epoch, wanted_.node_ids.size(), last_plan_.loads, 1e-6 * static_cast<double>(plan.bytes),
                                       last_plan_.frees, plan.balance_mean, plan.uncovered_by_one_loss));
  if (lost_ > 0) orders.log.push_back(absl::StrCat(lost_, " experts have no live replica; they are loaded first"));
  // Before anything is served, each node loads all that it gets in one go.
  const int64_t loads_per_node = view_ == nullptr ? INT64_MAX : Migration::kLoadsPerNode;
  if (!migration_.Start(steps, std::move(node_ids), loads_per_node, holdings_)) orders.log.push_back("the plan's first step cannot be taken");
}

void PlacementKeeper::Migrate(int64_t now_ns, const Following& following, Orders& orders) {
  if (job_ != 0 || !migration_.active()) return;
  const Migration::Stage before = migration_.stage();
  // Before there is a view, nobody follows one of ours; what a former router's view still sends to is refused and sent again.
  const bool seen = view_ != nullptr;
  if (!migration_.Advance(holdings_, seen ? view_->epoch : 1, seen ? following.followed : UINT64_MAX)) {
    orders.log.push_back("the migration cannot go on as it was planned; planning anew");
    policy_.Mend(now_ns + kPlanAgainAfterNs);
  }
  view_stale_ |= migration_.stage() != before;
  if (!migration_.active()) {
    ++generation_;
    orders.log.push_back(absl::StrCat("placement of epoch ", wanted_.epoch, " is in place"));
  }
}

void PlacementKeeper::Assign(Orders& orders) {
  for (const auto& [id, holding] : holdings_.nodes()) {
    const Node* node = registry_->Find(id);
    if (!holding.alive || !holding.changed || node == nullptr || !node->alive) continue;
    const uint64_t epoch = epochs_->Next();
    orders.assignments.push_back({node->stream, epoch, holdings_.Tell(id, epoch)});
    view_stale_ = true;
  }
}

// A draining node may go when nothing is left on it, or when nobody can take what is.
void PlacementKeeper::LetGo(Orders& orders) {
  for (const auto& [id, holding] : holdings_.nodes()) {
    const Node* node = registry_->Find(id);
    if (!holding.alive || !holding.draining || node == nullptr || let_go_.contains(id)) continue;
    const bool empty = holding.assigned.empty(), hopeless = last_plan_failed_ && job_ == 0;
    if (!empty && !hopeless && placed_) continue;
    let_go_.insert(id);
    orders.drains.push_back({node->stream, empty ? "nothing is left on this node" : "nobody can take what this node holds"});
  }
}

// A lost node's replicas are remembered until a plan without it is in place.
void PlacementKeeper::Forget() {
  if (view_ == nullptr || view_stale_ || job_ != 0 || migration_.active() || last_plan_failed_) return;
  std::vector<std::string> gone;
  for (const auto& [id, holding] : holdings_.nodes()) {
    const auto in_view = [&](const ExpertPeer& peer) { return peer.node_id == id; };
    const bool planned_without = std::find(wanted_.node_ids.begin(), wanted_.node_ids.end(), id) == wanted_.node_ids.end();
    if (!holding.alive && planned_without && std::none_of(view_->expert_nodes.begin(), view_->expert_nodes.end(), in_view)) gone.push_back(id);
  }
  for (const std::string& id : gone) holdings_.Erase(id);
}

std::string PlacementKeeper::Activity() const {
  if (job_ != 0) return absl::StrCat("planning (", PlanKindName(job_kind_), ")");
  if (!migration_.active()) return "idle";
  return absl::StrCat(MigrationStageName(migration_.stage()), " (", PlanKindName(migration_kind_), ")");
}

void PlacementKeeper::Watch(int64_t now_ns, Orders& orders) {
  const bool idle = job_ == 0 && !migration_.active();
  uint64_t loading = 0;  // bytes to go count as progress
  for (const auto& [id, holding] : holdings_.nodes()) {
    const Node* node = registry_->Find(id);
    if (holding.alive && node != nullptr) loading += node->heartbeat.to_load_bytes;
  }
  const std::string what = idle ? "" : absl::StrCat(Activity(), " ", last_job_, " ", migration_.rounds(), " ", loading);
  if (watchdog_.Watch(what, now_ns)) {
    orders.log.push_back(absl::StrCat("the balancer is stuck: ", Activity(), " for ", watchdog_.age_ms(now_ns), " ms"));
  }
}

void PlacementKeeper::AskForPlan(bool full) {
  proposal_.reset();
  policy_.Ask(full ? PlanKind::kFull : PlanKind::kDrift);
}

absl::Status PlacementKeeper::ApplyPlan(Orders& orders) {
  if (!proposal_) return absl::FailedPreconditionError("there is no plan to apply; ask for one with `atoll placement plan`");
  if (proposal_->generation != generation_ || job_ != 0 || migration_.active()) {
    proposal_.reset();
    return absl::FailedPreconditionError("the cluster has changed since the plan was made; plan again");
  }
  const Proposal proposal = *std::exchange(proposal_, std::nullopt);
  Accept(proposal.plan, PlanKind::kFull, orders);
  return absl::OkStatus();
}

void PlacementKeeper::Freeze(bool frozen, Orders& orders) {
  policy_.Freeze(frozen);
  orders.log.push_back(frozen ? "the balancer is frozen: coverage is kept, nothing else moves" : "the balancer is no longer frozen");
  const bool for_balance = migration_kind_ == PlanKind::kDrift || migration_kind_ == PlanKind::kFull;
  if (!frozen || !migration_.active() || !for_balance) return;
  migration_.GiveUp();
  view_stale_ = true;
}

BalancerReport PlacementKeeper::Report(int64_t now_ns) const {
  BalancerReport report;
  report.enabled = options_.balance.enable;
  report.frozen = policy_.frozen();
  report.placement_epoch = wanted_.epoch;
  report.activity = Activity();
  report.age_ms = watchdog_.age_ms(now_ns);
  report.stuck = watchdog_.stuck(now_ns);
  report.steps_left = migration_.steps_left();
  report.rounds = migration_.rounds();
  report.replicas_loaded = migration_.replicas_loaded();
  report.bytes_loaded = report.replicas_loaded * static_cast<uint64_t>(experts_.expert_bytes);
  report.lost_experts = lost_;
  report.steps_since_plan = policy_.steps_since_plan();
  report.last_plan = last_plan_;
  report.proposal = proposal_.has_value() && proposal_->generation == generation_;
  report.proposal_pending = policy_.asked() || (job_ != 0 && proposal_wanted_);
  if (report.proposal) report.proposed = SummaryOf(proposal_->plan, PlanKind::kFull);
  return report;
}

}  // namespace atoll::router
