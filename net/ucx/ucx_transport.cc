#include "net/ucx/ucx_transport.h"

#include "base/clock.h"
#include "net/ucx/listener/address.h"

namespace atoll::net {
namespace {

constexpr int64_t kNsPerMs = 1'000'000;
constexpr int64_t kLingerMs = 500;
constexpr int64_t kShutdownMs = 200;
constexpr size_t kRequestsMax = 64;     // connection requests between two rounds of progress
constexpr size_t kConnectionsMax = 2048;  // those that are ending included

int64_t NowNs() { return SteadyClock().NowNs(); }

}  // namespace

absl::StatusOr<std::unique_ptr<UcxTransport>> UcxTransport::Create(const UcxOptions& options) {
  std::unique_ptr<UcxTransport> transport(new UcxTransport());
  ATOLL_RETURN_IF_ERROR(transport->Init(options));
  return transport;
}

absl::Status UcxTransport::Init(const UcxOptions& options) {
  ApplyUcxSettings(options);
  ATOLL_ASSIGN_OR_RETURN(worker_, UcxWorker::Create());
  ucp_am_handler_param_t param{};
  param.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG | UCP_AM_HANDLER_PARAM_FIELD_FLAGS;
  param.id = kFrameMessageId;
  param.flags = UCP_AM_FLAG_WHOLE_MSG;
  param.arg = this;
  param.cb = [](void* arg, const void* header, size_t header_bytes, void* data, size_t bytes, const ucp_am_recv_param_t* received) {
    return static_cast<UcxTransport*>(arg)->OnMessage({static_cast<const std::byte*>(header), header_bytes},
                                                      {static_cast<const std::byte*>(data), bytes}, *received);
  };
  const ucs_status_t status = ucp_worker_set_am_recv_handler(worker_->handle(), &param);
  if (status != UCS_OK) return UcxError("registering the frame handler", status);
  ATOLL_ASSIGN_OR_RETURN(listener_, UcxListener::Create(*worker_, options, [this](ucp_conn_request_h request) {
                           if (requests_.size() < kRequestsMax) requests_.push_back(request); else listener_->Reject(request);
                         }));
  return absl::OkStatus();
}

UcxTransport::~UcxTransport() {
  if (worker_ == nullptr) return;
  events_ = nullptr;
  listener_.reset();
  for (auto& [endpoint, connection] : connections_) {
    if (connection.life == Life::kLive) Close(connection);
  }
  const int64_t until_ns = NowNs() + kShutdownMs * kNsPerMs;
  while (!connections_.empty() && NowNs() < until_ns) {
    while (Progress()) {}
    if (worker_->Arm()) worker_->Wait(std::chrono::milliseconds(5));
  }
  for (auto& [endpoint, connection] : connections_) {
    if (connection.life == Life::kLingering) Close(connection);
  }
  while (Progress()) {}
  worker_.reset();  // before the sends whose memory it may still hold
}

std::unique_ptr<UcxEndpoint> UcxTransport::MakeEndpoint() {
  return std::make_unique<UcxEndpoint>(*worker_, datatype_, [this](UcxEndpoint& endpoint, ucs_status_t status) { losses_.push_back({&endpoint, status}); });
}

absl::StatusOr<std::string> UcxTransport::Resolve(const std::string& address) const {
  ATOLL_ASSIGN_OR_RETURN(const SocketAddress found, ResolveAddress(address));
  return FormatAddress(found.storage, "");
}

absl::StatusOr<Channel*> UcxTransport::Connect(const std::string& address) {
  if (connections_.size() >= kConnectionsMax) return absl::ResourceExhaustedError("UCX: too many connections");
  ATOLL_ASSIGN_OR_RETURN(const SocketAddress target, ResolveAddress(address));
  std::unique_ptr<UcxEndpoint> endpoint = MakeEndpoint();
  ATOLL_RETURN_IF_ERROR(endpoint->Connect(target));
  UcxEndpoint* const raw = endpoint.get();
  by_handle_[raw->handle()] = raw;
  connections_[raw].endpoint = std::move(endpoint);
  return raw;
}

void UcxTransport::AcceptRequests() {
  const std::vector<ucp_conn_request_h> requests = std::move(requests_);
  requests_.clear();
  for (ucp_conn_request_h request : requests) Accept(request);
}

void UcxTransport::Accept(ucp_conn_request_h request) {
  if (events_ == nullptr || connections_.size() >= kConnectionsMax) {
    if (listener_ != nullptr) listener_->Reject(request);
    return;
  }
  std::unique_ptr<UcxEndpoint> endpoint = MakeEndpoint();
  if (!events_->OnAccepted(*endpoint)) return listener_->Reject(request);
  UcxEndpoint* const raw = endpoint.get();
  const absl::Status accepted = raw->Accept(request);
  connections_[raw].endpoint = std::move(endpoint);
  if (accepted.ok()) {
    by_handle_[raw->handle()] = raw;
  } else {
    events_->OnLost(*raw, accepted);
  }
}

ucs_status_t UcxTransport::OnMessage(std::span<const std::byte> header, std::span<const std::byte> payload, const ucp_am_recv_param_t& param) {
  if (events_ == nullptr) return UCS_OK;
  const bool has_sender = (param.recv_attr & UCP_AM_RECV_ATTR_FIELD_REPLY_EP) != 0;
  const bool is_rendezvous = (param.recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) != 0;  // never ours: `payload` is no data then
  const auto found = has_sender ? by_handle_.find(param.reply_ep) : by_handle_.end();
  if (found == by_handle_.end() || is_rendezvous) {
    events_->OnUnattributed();
    return is_rendezvous ? UCS_ERR_REJECTED : UCS_OK;
  }
  if (connections_[found->second].life == Life::kLive) events_->OnMessage(*found->second, header, payload);
  return UCS_OK;
}

void UcxTransport::Release(Channel& channel, ReleaseMode mode) {
  const auto found = connections_.find(static_cast<UcxEndpoint*>(&channel));
  if (found == connections_.end() || found->second.life != Life::kLive) return;
  found->second.life = Life::kLingering;
  found->second.linger_until_ns = mode == ReleaseMode::kLinger ? NowNs() + kLingerMs * kNsPerMs : 0;
  ++ending_;
  worker_->Wake();
}

void UcxTransport::Close(Connection& connection) {
  if (connection.life == Life::kLive) ++ending_;
  connection.life = Life::kClosing;
  by_handle_.erase(connection.endpoint->handle());
  connection.endpoint->StartClose();
}

void UcxTransport::ReportLosses() {
  const std::vector<Loss> losses = std::move(losses_);
  losses_.clear();
  for (const Loss& loss : losses) {
    Connection& connection = connections_[loss.endpoint];
    connection.linger_until_ns = 0;
    if (connection.life == Life::kLive && events_ != nullptr) events_->OnLost(*loss.endpoint, UcxError("UCX", loss.status));
  }
}

void UcxTransport::Reap() {
  const int64_t now_ns = NowNs();
  for (auto it = connections_.begin(); it != connections_.end();) {
    Connection& connection = it->second;
    if (connection.life == Life::kLingering && connection.linger_until_ns <= now_ns) Close(connection);
    if (connection.life == Life::kClosing && connection.endpoint->IsGone()) {
      it = connections_.erase(it);
      --ending_;
    } else {
      ++it;
    }
  }
}

bool UcxTransport::Progress() {
  const bool progressed = worker_->Progress();
  if (!requests_.empty()) AcceptRequests();
  if (!losses_.empty()) ReportLosses();
  if (ending_ > 0) Reap();
  return progressed;
}

}  // namespace atoll::net
