#include "node/cluster_client.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "atoll/v1/cluster.grpc.pb.h"
#include "base/log.h"
#include "base/options.h"
#include "net/grpc/bidi_client.h"
#include "net/grpc/channel.h"
#include "node/process.h"

namespace atoll::node {
namespace {

constexpr int32_t kBackoffMsFirst = 50;
constexpr auto kLeaveTime = std::chrono::milliseconds(300);
constexpr size_t kMessagesQueuedMax = 16;
constexpr int32_t kHeartbeatMsLowest = 5;
constexpr int32_t kHeartbeatMsHighest = 10000;

void ToProto(const std::vector<LayerExperts>& from, google::protobuf::RepeatedPtrField<v1::LayerExperts>* to) {
  for (const LayerExperts& layer : from) {
    v1::LayerExperts* entry = to->Add();
    entry->set_layer(layer.layer);
    entry->mutable_experts()->Assign(layer.experts.begin(), layer.experts.end());
  }
}

void ToProto(const AttentionCapacity& from, v1::AttentionCapacity* to) {
  to->set_max_num_seqs(from.max_num_seqs);
  to->set_max_num_batched_tokens(from.max_num_batched_tokens);
  to->set_max_model_len(from.max_model_len);
  to->set_pages(from.pages);
  to->set_max_queued(from.max_queued);
}

v1::JoinRequest HelloMessage(const NodeIdentity& identity, const NodeState& state) {
  v1::JoinRequest message;
  v1::Hello* hello = message.mutable_hello();
  hello->set_role(identity.role == Role::kAttention ? v1::NODE_ROLE_ATTENTION : v1::NODE_ROLE_EXPERT);
  hello->set_node_id(identity.node_id);
  hello->set_incarnation(identity.incarnation);
  hello->set_control_address(identity.control_address);
  hello->set_backend(identity.backend);
  hello->set_speed(identity.speed);
  hello->set_memory_bytes(identity.memory_bytes);
  hello->set_model_fingerprint(identity.model_fingerprint);
  hello->set_numerics_fingerprint(identity.numerics_fingerprint);
  hello->set_activation_dtype(identity.activation_dtype);
  hello->set_version(VersionText());
  hello->set_host(HostName());
  hello->set_loaded_epoch(state.loaded_epoch);
  ToProto(state.loaded, hello->mutable_loaded());
  if (state.capacity) ToProto(*state.capacity, hello->mutable_capacity());
  return message;
}

v1::JoinRequest HeartbeatMessage(const Heartbeat& from, uint64_t incarnation) {
  v1::JoinRequest message;
  v1::Heartbeat* heartbeat = message.mutable_heartbeat();
  heartbeat->set_incarnation(incarnation);
  heartbeat->set_epoch_ready(from.epoch_ready);
  heartbeat->set_epoch_oldest_in_flight(from.epoch_oldest_in_flight);
  heartbeat->set_running(from.running);
  heartbeat->set_waiting(from.waiting);
  heartbeat->set_pages_free(from.pages_free);
  heartbeat->set_loaded_bytes(from.loaded_bytes);
  heartbeat->set_to_load_bytes(from.to_load_bytes);
  heartbeat->set_rows_run(from.rows_run);
  for (const LayerCounts& layer : from.expert_counts) {
    v1::LayerCounts* entry = heartbeat->add_expert_counts();
    entry->set_layer(layer.layer);
    entry->mutable_prompt()->Assign(layer.prompt.begin(), layer.prompt.end());
    entry->mutable_generated()->Assign(layer.generated.begin(), layer.generated.end());
  }
  heartbeat->set_steps(from.steps);
  heartbeat->set_layers_run(from.layers_run);
  heartbeat->set_busy_us(from.busy_us);
  heartbeat->set_parts_sent_again(from.parts_sent_again);
  heartbeat->set_preemptions(from.preemptions);
  if (from.routing_bias.decisions > 0) {
    v1::RoutingBiasCounts* bias = heartbeat->mutable_routing_bias();
    bias->set_decisions(from.routing_bias.decisions);
    bias->set_changed(from.routing_bias.changed);
    bias->set_score_mass(from.routing_bias.score_mass);
    bias->set_score_mass_kept(from.routing_bias.score_mass_kept);
    bias->set_batches(from.routing_bias.batches);
    bias->set_busiest_before(from.routing_bias.busiest_before);
    bias->set_busiest_after(from.routing_bias.busiest_after);
    bias->set_switched_off(from.routing_bias.switched_off);
  }
  heartbeat->mutable_lost_peers()->insert(from.lost_peers.begin(), from.lost_peers.end());
  return message;
}

Assignment FromProto(const v1::Assignment& proto) {
  Assignment assignment;
  assignment.epoch = proto.epoch();
  for (const v1::LayerExperts& layer : proto.experts())
    for (uint32_t expert : layer.experts())
      assignment.experts.push_back({static_cast<int32_t>(layer.layer()), static_cast<int32_t>(expert)});
  return assignment;
}

absl::Status ReadLayer(const v1::LayerPlacement& proto, model::Placement* placement) {
  const model::ExpertId first{static_cast<int32_t>(proto.layer()), 0};
  if (!placement->Contains(first) || proto.experts_size() != placement->experts)
    return absl::InvalidArgumentError(absl::StrCat("the view places ", proto.experts_size(), " experts in layer ", proto.layer(),
                                                   ", which the model does not have"));
  for (int32_t expert = 0; expert < proto.experts_size(); ++expert) {
    const v1::ExpertReplicas& replicas = proto.experts(expert);
    auto& to = placement->ReplicasOf({first.layer, expert});
    to.clear();
    for (int i = 0; i < replicas.node_size(); ++i) {
      const double share = i < replicas.share_size() ? replicas.share(i) : 1.0 / replicas.node_size();
      to.push_back({static_cast<int32_t>(replicas.node(i)), share});
    }
  }
  return absl::OkStatus();
}

// Empty, or `size` finite numbers of at least `lowest` and at most `highest`.
absl::Status ReadFigures(const google::protobuf::RepeatedField<float>& from, int64_t size, std::pair<float, float> bounds, std::vector<float>* to) {
  const auto inside = [&](float value) { return value >= bounds.first && value <= bounds.second; };
  if (!from.empty() && (from.size() != size || !std::all_of(from.begin(), from.end(), inside)))
    return absl::InvalidArgumentError(absl::StrCat("a layer of the view has ", from.size(), " figures, expected ", size, " in [", bounds.first,
                                                   ", ", bounds.second, "]"));
  to->assign(from.begin(), from.end());
  return absl::OkStatus();
}

// After ReadLayer of every layer, which has checked that there are such layers.
absl::Status ReadSplit(const v1::ClusterView& proto, ClusterView* view) {
  const float epsilon = proto.routing_bias_epsilon();
  if (!(epsilon >= 0 && epsilon <= 1)) return absl::InvalidArgumentError(absl::StrCat("the view's routing_bias_epsilon is ", epsilon));
  const float changed_max = proto.routing_bias_changed_max();
  if (!(changed_max >= 0 && changed_max <= 1)) return absl::InvalidArgumentError(absl::StrCat("the view's routing_bias_changed_max is ", changed_max));
  view->attention_nodes = std::max(1, proto.attention_nodes());
  view->routing_bias_epsilon = epsilon;
  view->routing_bias_changed_max = changed_max;
  view->expected_share.resize(view->placement.layers);
  view->routing_bias.resize(view->placement.layers);
  for (const v1::LayerPlacement& layer : proto.layers()) {
    ATOLL_RETURN_IF_ERROR(ReadFigures(layer.expected_share(), proto.expert_nodes_size(), {0, 1e6f}, &view->expected_share[layer.layer()]));
    ATOLL_RETURN_IF_ERROR(ReadFigures(layer.routing_bias(), view->placement.experts, {-epsilon, epsilon}, &view->routing_bias[layer.layer()]));
  }
  return absl::OkStatus();
}

// Layers that the view does not name (an MTP layer that nobody serves) have no experts in it.
void DropUnnamedLayers(const v1::ClusterView& proto, model::Placement* placement) {
  std::vector<bool> named(placement->layers, false);
  for (const v1::LayerPlacement& layer : proto.layers())
    if (layer.layer() < named.size()) named[layer.layer()] = true;
  for (int64_t layer = 0; layer < placement->layers; ++layer)
    if (!named[layer]) placement->layer_has_experts[layer] = false;
}

absl::StatusOr<ClusterView> FromProto(const v1::ClusterView& proto, const model::ModelConfig& model) {
  ClusterView view;
  view.placement = model::EmptyPlacement(model, /*with_mtp=*/true);
  view.placement.epoch = proto.epoch();
  for (const v1::ExpertNode& node : proto.expert_nodes()) {
    view.expert_nodes.push_back({node.node_id(), node.incarnation(), node.control_address(), node.speed(), node.alive()});
    view.placement.node_ids.push_back(node.node_id());
  }
  DropUnnamedLayers(proto, &view.placement);
  for (const v1::LayerPlacement& layer : proto.layers()) ATOLL_RETURN_IF_ERROR(ReadLayer(layer, &view.placement));
  ATOLL_RETURN_IF_ERROR(model::ValidatePlacement(view.placement));
  ATOLL_RETURN_IF_ERROR(ReadSplit(proto, &view));
  return view;
}

// The router will say the same again, so trying on is no use.
bool IsRefusal(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsInvalidArgument(status) || absl::IsPermissionDenied(status);
}

using JoinStream = net::BidiClient<v1::JoinRequest, v1::JoinResponse>;

}  // namespace

// One thread joins, writes heartbeats and joins again; gRPC's threads deliver what the router says.
class ClusterClient::Impl {
 public:
  Impl(ClusterClientOptions options, ClusterMember* member)
      : options_(std::move(options)), member_(member),
        stub_(v1::ClusterService::NewStub(net::MakeChannel(options_.router_address))), heartbeat_ms_(options_.heartbeat_ms) {}

  void Start() {
    thread_ = std::thread([this] { JoinLoop(); });
  }

  void Stop(const std::string& reason) {
    {
      std::lock_guard lock(mutex_);
      if (!stopping_) leaving_reason_ = reason;
      stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  bool Drain(const std::string& reason, std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    if (!joined_ || stopping_) return false;
    leaving_reason_ = reason;
    wants_to_leave_ = true;
    changed_.wait_for(lock, timeout, [&] { return let_go_ || !joined_ || stopping_; });
    return let_go_;
  }

  bool joined() const {
    std::lock_guard lock(mutex_);
    return joined_;
  }

 private:
  void JoinLoop() {
    int32_t backoff_ms = kBackoffMsFirst;
    while (true) {
      bool was_joined = false;
      const std::optional<absl::Status> ended = JoinOnce(&was_joined);
      if (!ended) return;
      if (IsRefusal(*ended)) return member_->OnRefused(*ended);
      if (was_joined) {
        LogWarning("lost the router at ", options_.router_address, " (", std::string(ended->message()), "); joining again");
        backoff_ms = kBackoffMsFirst;
      }
      if (Stopping(backoff_ms)) return;
      backoff_ms = std::min(2 * backoff_ms, options_.backoff_ms_max);
    }
  }

  // One stream from hello to its end, whose status is returned; nothing when the client stops.
  std::optional<absl::Status> JoinOnce(bool* was_joined) {
    const JoinStream::Callbacks callbacks{[this](v1::JoinResponse& response) { Deliver(response); },
                                          [this](const absl::Status& status) { End(status); }};
    Begin();
    JoinStream stream(callbacks, kMessagesQueuedMax,
                      [&](grpc::ClientContext* context, JoinStream::Reactor* reactor) { stub_->async()->Join(context, reactor); });
    [[maybe_unused]] const bool sent = stream.Send(HelloMessage(options_.identity, member_->CurrentState()));
    while (Sleep(heartbeat_ms_)) {
      // A full queue drops the heartbeat: the router reads none, so it misses none.
      if (!joined()) continue;
      *was_joined = true;
      if (TakeWish()) [[maybe_unused]] const bool asked = stream.Send(LeavingMessage());
      [[maybe_unused]] const bool queued = stream.Send(HeartbeatMessage(member_->TakeHeartbeat(), options_.identity.incarnation));
    }
    if (Stopping(0)) {
      Leave(stream);
      return std::nullopt;
    }
    std::lock_guard lock(mutex_);
    return ended_;
  }

  v1::JoinRequest LeavingMessage() {
    std::lock_guard lock(mutex_);
    v1::JoinRequest message;
    message.mutable_leaving()->set_reason(leaving_reason_);
    return message;
  }

  bool TakeWish() {
    std::lock_guard lock(mutex_);
    return std::exchange(wants_to_leave_, false);
  }

  void LetGo(const std::string& reason) {
    member_->OnDrain(reason);
    std::lock_guard lock(mutex_);
    let_go_ = true;
    changed_.notify_all();
  }

  // The router ends the stream when it has read this; one that does not is not waited for.
  void Leave(JoinStream& stream) {
    if (!stream.Send(LeavingMessage())) return;
    stream.CloseWrites();
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kLeaveTime, [&] { return ended_.has_value(); });
  }

  void Deliver(const v1::JoinResponse& response) {
    switch (response.body_case()) {
      case v1::JoinResponse::kAccepted: return Accept(response.accepted());
      case v1::JoinResponse::kAssignment: return member_->OnAssignment(FromProto(response.assignment()));
      case v1::JoinResponse::kView: return DeliverView(response.view());
      case v1::JoinResponse::kDrain: return LetGo(response.drain().reason());
      case v1::JoinResponse::BODY_NOT_SET: return;
    }
  }

  void Accept(const v1::Accepted& proto) {
    const Accepted accepted{static_cast<int32_t>(std::min<uint32_t>(proto.heartbeat_ms(), kHeartbeatMsHighest)),
                            static_cast<int32_t>(std::min<uint32_t>(proto.peer_silence_ms(), INT32_MAX))};
    if (accepted.heartbeat_ms > 0) heartbeat_ms_ = std::max(accepted.heartbeat_ms, kHeartbeatMsLowest);
    {
      std::lock_guard lock(mutex_);
      joined_ = true;
    }
    LogInfo("joined the router at ", options_.router_address, " as ", options_.identity.node_id);
    member_->OnAccepted(accepted);
  }

  void DeliverView(const v1::ClusterView& proto) {
    absl::StatusOr<ClusterView> view = FromProto(proto, options_.model);
    if (view.ok()) return member_->OnView(*std::move(view));
    LogError("a view of the cluster (epoch ", proto.epoch(), ") is ignored: ", std::string(view.status().message()));
  }

  void Begin() {
    std::lock_guard lock(mutex_);
    ended_.reset();
    joined_ = false;
  }

  void End(const absl::Status& status) {
    std::lock_guard lock(mutex_);
    joined_ = false;
    ended_ = status.ok() ? absl::UnavailableError("the router ended the stream") : status;
    changed_.notify_all();
  }

  // False at once when the stream has ended or the client stops.
  bool Sleep(int32_t ms) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(ms), [&] { return stopping_ || ended_; });
    return !stopping_ && !ended_;
  }

  // Waits up to `ms` for the client to stop.
  bool Stopping(int32_t ms) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(ms), [&] { return stopping_; });
  }

  const ClusterClientOptions options_;
  ClusterMember* const member_;
  const std::unique_ptr<v1::ClusterService::Stub> stub_;
  std::atomic<int32_t> heartbeat_ms_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;              // guarded by mutex_, as all below
  bool joined_ = false;
  std::optional<absl::Status> ended_;  // of the present stream
  bool wants_to_leave_ = false;        // and the router is still to be told
  bool let_go_ = false;
  std::string leaving_reason_;
  std::thread thread_;
};

ClusterClient::ClusterClient(ClusterClientOptions options, ClusterMember* member)
    : impl_(std::make_unique<Impl>(std::move(options), member)) {}
ClusterClient::~ClusterClient() { impl_->Stop(""); }
void ClusterClient::Start() { impl_->Start(); }
void ClusterClient::Stop(const std::string& reason) { impl_->Stop(reason); }
bool ClusterClient::Drain(const std::string& reason, std::chrono::milliseconds timeout) { return impl_->Drain(reason, timeout); }
bool ClusterClient::joined() const { return impl_->joined(); }

}  // namespace atoll::node
