#pragma once

// The UCX Transport of one host: worker, listener, endpoints. Serialized by its SessionHost, but for Resolve, Wait and Wake.
// UCX callbacks only take notes (a connection request, a loss) or hand on a message; Progress does the rest afterwards.

#include <memory>
#include <unordered_map>
#include <vector>

#include "net/session/channel.h"
#include "net/ucx/endpoint.h"
#include "net/ucx/listener/listener.h"
#include "net/ucx/settings.h"
#include "net/ucx/worker.h"

namespace atoll::net {

class UcxTransport final : public Transport {
 public:
  static absl::StatusOr<std::unique_ptr<UcxTransport>> Create(const UcxOptions& options);
  // Gives peers some time to read the last words.
  ~UcxTransport() override;

  void Attach(TransportEvents& events) override { events_ = &events; }
  absl::StatusOr<std::string> Resolve(const std::string& address) const override;
  absl::StatusOr<Channel*> Connect(const std::string& address) override;
  void Release(Channel& channel, ReleaseMode mode) override;
  bool Progress() override;
  bool Arm() override { return worker_->Arm(); }
  void Wait(std::chrono::nanoseconds timeout) override { worker_->Wait(timeout); }
  void Wake() override { worker_->Wake(); }
  std::string address() const override { return listener_->address(); }

 private:
  enum class Life { kLive, kLingering, kClosing };
  struct Connection {
    std::unique_ptr<UcxEndpoint> endpoint;
    Life life = Life::kLive;
    int64_t linger_until_ns = 0;
  };
  struct Loss {
    UcxEndpoint* endpoint;
    ucs_status_t status;
  };

  UcxTransport() = default;
  absl::Status Init(const UcxOptions& options);
  ucs_status_t OnMessage(std::span<const std::byte> header, std::span<const std::byte> payload, const ucp_am_recv_param_t& param);
  void AcceptRequests();
  void Accept(ucp_conn_request_h request);
  void ReportLosses();
  void Reap();
  std::unique_ptr<UcxEndpoint> MakeEndpoint();
  void Close(Connection& connection);

  TransportEvents* events_ = nullptr;
  SlotDatatype datatype_;
  std::unique_ptr<UcxWorker> worker_;
  std::unique_ptr<UcxListener> listener_;
  std::unordered_map<UcxEndpoint*, Connection> connections_;
  std::unordered_map<ucp_ep_h, UcxEndpoint*> by_handle_;  // live and lingering
  std::vector<ucp_conn_request_h> requests_;
  std::vector<Loss> losses_;
  size_t ending_ = 0;  // connections that are lingering or closing
};

}  // namespace atoll::net
