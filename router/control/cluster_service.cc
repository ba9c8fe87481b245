#include "router/control/cluster_service.h"

#include <utility>

#include "atoll/v1/cluster.grpc.pb.h"
#include "base/log.h"
#include "net/grpc/bidi_server_stream.h"
#include "net/grpc/status_map.h"
#include "router/control/placement_service.h"
#include "router/control/step_trace_service.h"

namespace atoll::router {
namespace {

using Stream = net::BidiServerStream<v1::JoinRequest, v1::JoinResponse>;

constexpr size_t kQueuedMax = 64;         // messages to a node that does not read
constexpr int kLoadedMax = 1 << 20;       // experts that a hello may name
constexpr size_t kLostPeersMax = 256;     // entries of a heartbeat that are looked at
constexpr size_t kReasonBytesMax = 256;   // of a text that a node sends

std::vector<model::ExpertId> ReadExperts(const google::protobuf::RepeatedPtrField<v1::LayerExperts>& layers) {
  std::vector<model::ExpertId> ids;
  for (const v1::LayerExperts& layer : layers) {
    for (const uint32_t expert : layer.experts()) ids.push_back({static_cast<int32_t>(layer.layer()), static_cast<int32_t>(expert)});
  }
  return ids;
}

AttentionCapacity ReadCapacity(const v1::AttentionCapacity& from) {
  return {.max_num_seqs = from.max_num_seqs(),
          .max_num_batched_tokens = from.max_num_batched_tokens(),
          .max_model_len = from.max_model_len(),
          .pages = from.pages(),
          .max_queued = from.max_queued()};
}

absl::StatusOr<NodeHello> ReadHello(const v1::Hello& from) {
  if (from.role() != v1::NODE_ROLE_ATTENTION && from.role() != v1::NODE_ROLE_EXPERT) {
    return absl::InvalidArgumentError(absl::StrCat("hello: role must be attention or expert, found ", static_cast<int>(from.role())));
  }
  int64_t loaded = 0;
  for (const v1::LayerExperts& layer : from.loaded()) loaded += layer.experts_size();
  if (loaded > kLoadedMax) return absl::InvalidArgumentError(absl::StrCat("hello: ", loaded, " loaded experts are more than any model has"));
  NodeHello hello;
  hello.role = from.role() == v1::NODE_ROLE_ATTENTION ? NodeRole::kAttention : NodeRole::kExpert;
  hello.node_id = from.node_id();
  hello.incarnation = from.incarnation();
  hello.control_address = from.control_address();
  hello.backend = from.backend();
  hello.speed = from.speed();
  hello.memory_bytes = from.memory_bytes();
  hello.model_fingerprint = from.model_fingerprint();
  hello.numerics_fingerprint = from.numerics_fingerprint();
  hello.activation_dtype = from.activation_dtype();
  hello.version = from.version();
  hello.loaded_epoch = from.loaded_epoch();
  hello.loaded = ReadExperts(from.loaded());
  hello.host = from.host();
  hello.zone = from.zone();
  hello.capacity = ReadCapacity(from.capacity());
  return hello;
}

NodeHeartbeat ReadHeartbeat(const v1::Heartbeat& from) {
  NodeHeartbeat heartbeat;
  heartbeat.incarnation = from.incarnation();
  heartbeat.epoch_ready = from.epoch_ready();
  heartbeat.epoch_oldest_in_flight = from.epoch_oldest_in_flight();
  heartbeat.running = from.running();
  heartbeat.waiting = from.waiting();
  heartbeat.pages_free = from.pages_free();
  heartbeat.loaded_bytes = from.loaded_bytes();
  heartbeat.to_load_bytes = from.to_load_bytes();
  heartbeat.rows_run = from.rows_run();
  heartbeat.steps = from.steps();
  heartbeat.layers_run = from.layers_run();
  heartbeat.busy_us = from.busy_us();
  heartbeat.parts_sent_again = from.parts_sent_again();
  heartbeat.preemptions = from.preemptions();
  const v1::RoutingBiasCounts& bias = from.routing_bias();
  heartbeat.routing_bias = {bias.decisions(), bias.changed(), bias.score_mass(), bias.score_mass_kept(), bias.batches(),
                            bias.busiest_before(), bias.busiest_after(), bias.switched_off()};
  for (const auto& [id, reason] : from.lost_peers()) {
    if (heartbeat.lost_peers.size() < kLostPeersMax) heartbeat.lost_peers[id.substr(0, kReasonBytesMax)] = reason.substr(0, kReasonBytesMax);
  }
  for (const v1::LayerCounts& counts : from.expert_counts()) {
    heartbeat.expert_counts.push_back({.layer = static_cast<int32_t>(counts.layer()),
                                       .prompt = {counts.prompt().begin(), counts.prompt().end()},
                                       .generated = {counts.generated().begin(), counts.generated().end()}});
  }
  return heartbeat;
}

void FillExperts(const std::vector<model::ExpertId>& ids, v1::Assignment& to) {
  v1::LayerExperts* layer = nullptr;
  for (const model::ExpertId& id : ids) {  // by layer, then id
    if (layer == nullptr || layer->layer() != static_cast<uint32_t>(id.layer)) {
      layer = to.add_experts();
      layer->set_layer(id.layer);
    }
    layer->add_experts(id.expert);
  }
}

class JoinStreamSender final : public JoinStream {
 public:
  JoinStreamSender(std::shared_ptr<Stream> stream, const ClusterServiceOptions& options) : stream_(std::move(stream)), options_(options) {}

  bool SendAssignment(uint64_t epoch, const std::vector<model::ExpertId>& experts) override {
    v1::JoinResponse response;
    response.mutable_assignment()->set_epoch(epoch);
    FillExperts(experts, *response.mutable_assignment());
    return stream_->Send(std::move(response));
  }
  bool SendView(const ClusterView& view) override {
    v1::JoinResponse response;
    FillView(view, *response.mutable_view());
    return stream_->Send(std::move(response));
  }
  bool SendDrain(const std::string& reason) override {
    v1::JoinResponse response;
    response.mutable_drain()->set_reason(reason);
    return stream_->Send(std::move(response));
  }
  void SendAccepted() override {
    v1::JoinResponse response;
    response.mutable_accepted()->set_heartbeat_ms(options_.heartbeat_ms);
    response.mutable_accepted()->set_peer_silence_ms(options_.peer_silence_ms);
    // The first message of a stream finds its queue empty; a stream that has ended is noticed by its reads.
    (void)stream_->Send(std::move(response));
  }
  void End(const absl::Status& status) override { stream_->End(status); }

 private:
  const std::shared_ptr<Stream> stream_;  // shared with the gRPC call
  const ClusterServiceOptions options_;
};

// One node's stream from its hello to its end. Called by gRPC, one call at a time.
class JoinCall {
 public:
  JoinCall(std::shared_ptr<Stream> stream, const ClusterServiceOptions& options, ClusterControl* control)
      : stream_(std::move(stream)), options_(options), control_(control) {}

  void OnMessage(const v1::JoinRequest& request) {
    if (const absl::Status status = Handle(request); !status.ok()) {
      if (id_ == 0) LogWarning("a node was refused: ", status.message());
      stream_->End(status);
    }
  }
  void OnEnd() {
    if (id_ != 0) control_->OnStreamEnd(id_);
  }

 private:
  absl::Status Handle(const v1::JoinRequest& request) {
    if ((id_ == 0) != request.has_hello()) return absl::InvalidArgumentError("a Join stream begins with its one hello");
    switch (request.body_case()) {
      case v1::JoinRequest::kHello: return OnHello(request.hello());
      case v1::JoinRequest::kHeartbeat: return control_->OnHeartbeat(id_, ReadHeartbeat(request.heartbeat()));
      case v1::JoinRequest::kLeaving: control_->OnLeaving(id_, request.leaving().reason().substr(0, kReasonBytesMax)); return absl::OkStatus();
      default: return absl::InvalidArgumentError("a message of a Join stream must be hello, heartbeat or leaving");
    }
  }

  absl::Status OnHello(const v1::Hello& message) {
    ATOLL_ASSIGN_OR_RETURN(const NodeHello hello, ReadHello(message));
    ATOLL_ASSIGN_OR_RETURN(id_, control_->OnHello(hello, std::make_shared<JoinStreamSender>(stream_, options_)));
    return absl::OkStatus();
  }

  const std::shared_ptr<Stream> stream_;
  const ClusterServiceOptions options_;
  ClusterControl* const control_;
  StreamId id_ = 0;  // 0: no hello yet
};

void FillNode(const NodeReport& report, int64_t now_ns, v1::NodeStatus& to) {
  const Node& node = report.node;
  to.set_role(node.hello.role == NodeRole::kAttention ? v1::NODE_ROLE_ATTENTION : v1::NODE_ROLE_EXPERT);
  to.set_node_id(node.hello.node_id);
  to.set_incarnation(node.hello.incarnation);
  to.set_control_address(node.hello.control_address);
  to.set_backend(node.hello.backend);
  to.set_speed(report.speed);
  to.set_state(NodeStateName(report.state));
  to.set_running(node.heartbeat.running);
  to.set_waiting(node.heartbeat.waiting);
  to.set_pages_free(node.heartbeat.pages_free);
  to.set_pages(node.hello.capacity.pages);
  to.set_loaded_bytes(node.heartbeat.loaded_bytes);
  to.set_memory_bytes(node.hello.memory_bytes);
  to.set_experts(static_cast<int32_t>(report.experts));
  to.set_rows_run(node.totals.rows_run);
  to.set_epoch_ready(node.heartbeat.epoch_ready);
  to.set_heartbeat_age_ms((now_ns - node.heard_ns) / 1000000);
  to.set_numerics_fingerprint(node.hello.numerics_fingerprint);
}

void FillCounts(const LayerCounts& counts, v1::LayerCounts& to) {
  to.set_layer(counts.layer);
  to.mutable_prompt()->Assign(counts.prompt.begin(), counts.prompt.end());
  to.mutable_generated()->Assign(counts.generated.begin(), counts.generated.end());
}

void FillRoutingBias(const RoutingBiasReport& bias, v1::RoutingBiasStatus& to) {
  to.set_epsilon(bias.epsilon);
  to.set_off_reason(bias.off_reason);
  const RoutingBiasTotals& from = bias.totals;
  v1::RoutingBiasCounts& totals = *to.mutable_totals();
  totals.set_decisions(from.decisions);
  totals.set_changed(from.changed);
  totals.set_score_mass(from.score_mass);
  totals.set_score_mass_kept(from.score_mass_kept);
  totals.set_batches(from.batches);
  totals.set_busiest_before(from.busiest_before);
  totals.set_busiest_after(from.busiest_after);
  totals.set_switched_off(from.switched_off);
}

void FillReport(const ClusterReport& report, v1::GetStatusResponse& to) {
  to.set_epoch(report.epoch);
  to.set_ready(report.ready);
  to.set_not_ready_reason(report.not_ready_reason);
  to.set_exact(report.not_exact_reason.empty());
  to.set_not_exact_reason(report.not_exact_reason);
  if (report.routing_bias) FillRoutingBias(*report.routing_bias, *to.mutable_routing_bias());
  for (const NodeReport& node : report.nodes) FillNode(node, report.now_ns, *to.add_nodes());
  FillBalancer(report.balancer, *to.mutable_balancer());
  for (const LayerCounts& counts : report.expert_counts) FillCounts(counts, *to.add_expert_counts());
  for (const LayerBalance& balance : report.balance) {
    v1::LayerBalance& layer = *to.add_balance();
    layer.set_layer(balance.layer);
    layer.set_imbalance(balance.imbalance);
  }
}

void FillTotals(const RequestTotals& totals, v1::RouterStatus& to) {
  to.set_requests_running(static_cast<int32_t>(totals.running));
  to.set_requests_total(totals.requests);
  to.set_requests_refused(totals.refused);
  to.set_requests_failed(totals.failed);
  to.set_requests_cancelled(totals.cancelled);
  to.set_tokens_total(totals.tokens);
}

class ClusterServiceImpl final : public v1::ClusterService::CallbackService {
 public:
  ClusterServiceImpl(const ClusterServiceOptions& options, ClusterControl* control, FrontDoor* front_door, const Clock* clock)
      : options_(options), control_(control), front_door_(front_door), clock_(clock), started_ns_(clock->NowNs()) {}

  grpc::ServerBidiReactor<v1::JoinRequest, v1::JoinResponse>* Join(grpc::CallbackServerContext*) override {
    const std::shared_ptr<Stream> stream = Stream::Make(kQueuedMax);
    const auto call = std::make_shared<JoinCall>(stream, options_, control_);  // shared by the two callbacks
    stream->Start({.on_message = [call](v1::JoinRequest& request) { call->OnMessage(request); }, .on_end = [call] { call->OnEnd(); }});
    return stream->reactor();
  }

  grpc::ServerUnaryReactor* GetStatus(grpc::CallbackServerContext* context, const v1::GetStatusRequest* request,
                                      v1::GetStatusResponse* response) override {
    response->set_model(front_door_->model().name());
    FillReport(control_->Report(request->experts()), *response);
    FillTotals(front_door_->totals(), *response->mutable_router());
    response->mutable_router()->set_uptime_ms((clock_->NowNs() - started_ns_) / 1000000);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  grpc::ServerUnaryReactor* GetPlacement(grpc::CallbackServerContext* context, const v1::GetPlacementRequest* request,
                                         v1::GetPlacementResponse* response) override {
    const ClusterReport report = control_->Report(/*expert_counts=*/false);
    FillBalancer(report.balancer, *response->mutable_balancer());
    if (request->view() && report.view != nullptr) FillView(*report.view, *response->mutable_view());
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  grpc::ServerUnaryReactor* ChangePlacement(grpc::CallbackServerContext* context, const v1::ChangePlacementRequest* request,
                                            v1::ChangePlacementResponse*) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(net::ToGrpcStatus(ApplyChange(*request, *control_)));
    return reactor;
  }

  grpc::ServerUnaryReactor* TraceStep(grpc::CallbackServerContext* context, const v1::TraceStepRequest* request,
                                      v1::TraceStepResponse* response) override {
    return AnswerTraceStep(*control_, *context, *request, *response);
  }

 private:
  const ClusterServiceOptions options_;
  ClusterControl* const control_;
  FrontDoor* const front_door_;
  const Clock* const clock_;
  const int64_t started_ns_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeClusterService(const ClusterServiceOptions& options, ClusterControl* control, FrontDoor* front_door,
                                                  const Clock* clock) {
  return std::make_unique<ClusterServiceImpl>(options, control, front_door, clock);
}

}  // namespace atoll::router
