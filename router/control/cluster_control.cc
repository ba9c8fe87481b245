#include "router/control/cluster_control.h"

#include <algorithm>

#include "base/log.h"

namespace atoll::router {

ClusterControl::ClusterControl(ClusterControlOptions options, const ExpertsToPlace& experts, const Clock* clock)
    : options_(std::move(options)),
      clock_(clock),
      state_(options_.cluster, experts),
      serving_(std::make_shared<const Serving>(Serving{.seats = {}, .not_ready_reason = state_.NotReadyReason()})),
      planner_([this](const PlanResult& result) {
        Handle([&](Orders& orders) { state_.OnPlan(result, clock_->NowNs(), orders); });
      }) {}

ClusterControl::~ClusterControl() = default;

template <typename Event>
void ClusterControl::Handle(Event event) {
  std::lock_guard lock(mutex_);
  Orders orders;
  event(orders);
  CarryOutLocked(orders);
}

absl::StatusOr<StreamId> ClusterControl::OnHello(const NodeHello& hello, std::shared_ptr<JoinStream> stream) {
  absl::StatusOr<StreamId> id = absl::UnknownError("");
  Handle([&](Orders& orders) {
    id = state_.OnHello(hello, clock_->NowNs(), orders);
    if (!id.ok()) return;
    streams_[*id] = stream;
    stream->SendAccepted();
  });
  return id;
}

absl::Status ClusterControl::OnHeartbeat(StreamId stream, const NodeHeartbeat& heartbeat) {
  absl::Status status;
  Handle([&](Orders& orders) { status = state_.OnHeartbeat(stream, heartbeat, clock_->NowNs(), orders); });
  return status;
}

void ClusterControl::OnLeaving(StreamId stream, const std::string& reason) {
  Handle([&](Orders& orders) { state_.OnLeaving(stream, reason, clock_->NowNs(), orders); });
}

void ClusterControl::OnStreamEnd(StreamId stream) {
  Handle([&](Orders& orders) {
    streams_.erase(stream);
    state_.OnStreamEnd(stream, clock_->NowNs(), orders);
  });
}

void ClusterControl::CarryOutLocked(Orders& orders) {
  if (shut_down_) return;
  for (const std::string& line : orders.log) LogInfo(line);
  for (const EndOrder& end : orders.ends) {
    const auto found = streams_.find(end.stream);
    if (found == streams_.end()) continue;
    found->second->End(end.status);
    streams_.erase(found);
  }
  for (const std::string& node_id : orders.disconnects) DisconnectLocked(node_id);
  for (const AttentionTarget& target : orders.connects) ConnectLocked(target);
  for (const Assignment& a : orders.assignments) {
    SendLocked(a.stream, [&](JoinStream& stream) { return stream.SendAssignment(a.epoch, a.experts); });
  }
  for (const ViewOrder& order : orders.views) {
    SendLocked(order.stream, [&](JoinStream& stream) { return stream.SendView(*order.view); });
  }
  for (const DrainOrder& order : orders.drains) {
    SendLocked(order.stream, [&](JoinStream& stream) { return stream.SendDrain(order.reason); });
  }
  for (const ProbeOrder& probe : orders.probes) StartProbeLocked(probe);
  if (!orders.plans.empty()) planner_.Submit(std::move(orders.plans.back()));
  RefreshServingLocked();
}

void ClusterControl::SendLocked(StreamId stream, const std::function<bool(JoinStream&)>& send) {
  const auto found = streams_.find(stream);
  if (found == streams_.end() || send(*found->second)) return;
  // Its end comes back as OnStreamEnd, and the node joins again.
  found->second->End(absl::UnavailableError("the node does not read what the router sends; join again"));
}

void ClusterControl::ConnectLocked(const AttentionTarget& target) {
  const auto on_end = [this, target](const absl::Status&) {
    Handle([&](Orders& orders) { state_.OnAttentionStreamEnd(target.node_id, target.incarnation, clock_->NowNs(), orders); });
  };
  attention_clients_[target.node_id] =
      AttentionClient::Connect({.node_id = target.node_id, .address = target.address, .on_end = on_end});
}

void ClusterControl::DisconnectLocked(const std::string& node_id) {
  const auto found = attention_clients_.find(node_id);
  if (found == attention_clients_.end()) return;
  disconnected_.push_back(std::move(found->second));
  attention_clients_.erase(found);
  std::lock_guard lock(work_mutex_);
  work_ = true;
  work_changed_.notify_all();
}

void ClusterControl::StartProbeLocked(const ProbeOrder& order) {
  const auto found = attention_clients_.find(order.node_id);
  if (found == attention_clients_.end()) return Post(order, absl::UnavailableError("the router has no stream to it"));
  const ProbeOptions options{.token_id = options_.probe_token_id,
                             .clock = clock_,
                             .done = [this](const ProbeOrder& done, const absl::Status& status) { Post(done, status); }};
  probes_.push_back(std::make_unique<Probe>(order, MintSequenceIds(1), options));
  probes_.back()->Run(*found->second);
}

// Results are handled by Tick: they come with a stream's lock held, under which ours must not be taken.
void ClusterControl::Post(ProbeOrder order, absl::Status result) {
  std::lock_guard lock(work_mutex_);
  probe_results_.emplace_back(std::move(order), std::move(result));
  work_ = true;
  work_changed_.notify_all();
}

void ClusterControl::HandleProbes() {
  std::vector<std::pair<ProbeOrder, absl::Status>> results;
  {
    std::lock_guard lock(work_mutex_);
    results.swap(probe_results_);
    work_ = false;
  }
  Handle([&](Orders& orders) {
    for (const auto& [order, result] : results) state_.OnProbe(order, result, clock_->NowNs(), orders);
    std::erase_if(probes_, [](const std::unique_ptr<Probe>& probe) { return probe->ended(); });
    for (const std::unique_ptr<Probe>& probe : probes_) probe->Tick(clock_->NowNs());
  });
}

void ClusterControl::CloseDisconnected() {
  std::vector<std::shared_ptr<AttentionClient>> clients;
  {
    std::lock_guard lock(mutex_);
    clients.swap(disconnected_);
  }
  for (const std::shared_ptr<AttentionClient>& client : clients) client->Close();
}

void ClusterControl::Tick() {
  Handle([&](Orders& orders) {
    NoteTokensLocked(orders);
    state_.OnTick(clock_->NowNs(), orders);
  });
  HandleProbes();
  CloseDisconnected();
}

void ClusterControl::NoteTokensLocked(Orders& orders) {
  for (const auto& [id, client] : attention_clients_) {
    const int64_t tokens = client->tokens();
    if (std::exchange(tokens_seen_[id], tokens) < tokens) state_.OnToken(id, orders);
  }
  std::erase_if(tokens_seen_, [&](const auto& seen) { return !attention_clients_.contains(seen.first); });
}

void ClusterControl::WaitForWork(std::chrono::milliseconds timeout) {
  std::unique_lock lock(work_mutex_);
  work_changed_.wait_for(lock, timeout, [&] { return work_; });
}

void ClusterControl::AskForPlan(bool full) {
  Handle([&](Orders& orders) { state_.AskForPlan(full, clock_->NowNs(), orders); });
}

absl::Status ClusterControl::ApplyPlan() {
  absl::Status status;
  Handle([&](Orders& orders) { status = state_.ApplyPlan(clock_->NowNs(), orders); });
  return status;
}

void ClusterControl::Freeze(bool frozen) {
  Handle([&](Orders& orders) { state_.Freeze(frozen, clock_->NowNs(), orders); });
}

void ClusterControl::Shutdown(const absl::Status& reason) {
  planner_.Stop();
  {
    std::lock_guard lock(mutex_);
    shut_down_ = true;
    for (const auto& [id, stream] : streams_) stream->End(reason);
    for (auto& [id, client] : attention_clients_) disconnected_.push_back(std::move(client));
    attention_clients_.clear();
    serving_ = std::make_shared<const Serving>(Serving{.seats = {}, .not_ready_reason = std::string(reason.message())});
  }
  CloseDisconnected();
}

void ClusterControl::RefreshServingLocked() {
  Serving serving;
  for (const Node* node : state_.Usable()) {
    const auto client = attention_clients_.find(node->hello.node_id);
    if (client == attention_clients_.end()) continue;
    const AttentionCapacity& capacity = node->hello.capacity;
    serving.seats.push_back({client->second, capacity.max_num_seqs, capacity.max_queued, capacity.max_model_len});
  }
  if (serving.seats.empty()) serving.not_ready_reason = state_.NotReadyReason();
  const HealthView health{.ready = state_.ready(), .attention = !serving.seats.empty(), .expert = state_.AllExpertsLive()};
  if (health.ready != health_.ready) LogInfo(health.ready ? "ready" : "not ready: ", serving.not_ready_reason);
  serving_ = std::make_shared<const Serving>(std::move(serving));
  if (health == health_) return;
  health_ = health;
  if (options_.on_health) options_.on_health(health);
}

std::shared_ptr<const Serving> ClusterControl::serving() const {
  std::lock_guard lock(mutex_);
  return serving_;
}

ClusterReport ClusterControl::Report(bool expert_counts) const {
  std::lock_guard lock(mutex_);
  ClusterReport report;
  report.ready = state_.ready();
  report.not_ready_reason = state_.NotReadyReason();
  report.epoch = state_.epoch();
  report.not_exact_reason = state_.NotExactReason();
  const RoutingBias& bias = state_.routing_bias();
  if (bias.options().epsilon > 0) report.routing_bias = RoutingBiasReport{bias.epsilon(), bias.off_reason(), bias.totals()};
  report.nodes = state_.Report();
  report.balance = state_.Balance();
  if (expert_counts) report.expert_counts = state_.counters().Sums();
  report.now_ns = clock_->NowNs();
  report.balancer = state_.Balancer(report.now_ns);
  report.view = state_.view();
  return report;
}

}  // namespace atoll::router
