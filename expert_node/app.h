#pragma once

// Everything that an expert process owns, in construction order.

#include <atomic>
#include <memory>
#include <thread>

#include "base/status.h"
#include "expert_node/core.h"
#include "expert_node/membership.h"
#include "kernels/cpu/compute_pool.h"
#include "net/grpc/server.h"
#include "net/link_ticker.h"
#include "net/otlp/otlp_exporter.h"
#include "node/node_options.h"
#include "node/turn_watch.h"
#include "node/session_service.h"

namespace atoll::expert_node {

struct ExpertOptions {
  node::NodeOptions node;
  int64_t expert_memory_bytes = 0;  // 0: what the machine has free, at most what the model has
  double speed = 1;
  int64_t gather_wait_us = 0;
  int64_t throttle = 1;
  double drain_timeout_s = 30;
};

// Owned by the main thread.
class App {
 public:
  // Opens the checkpoint, listens and joins the router. `stop` outlives it.
  static absl::StatusOr<std::unique_ptr<App>> Start(const ExpertOptions& options, node::StopSignal& stop);
  // Leaves the cluster once the router has moved away what is only here (or the drain timeout has passed), ends the links,
  // ends the server.
  ~App();

  const std::string& address() const { return server_->address(); }
  // Health follows what is loaded, and says when the receiver is stuck: called now and then.
  void RefreshHealth();

 private:
  App() = default;
  absl::Status OpenModel(const ExpertOptions& options, const node::NodeSettings& settings, node::StopSignal& stop);
  absl::Status OpenNetwork(const ExpertOptions& options, const node::NodeSettings& settings);
  void Join(const ExpertOptions& options, const node::NodeSettings& settings, node::StopSignal& stop);
  void ReceiveLoop();

  const SteadyClock clock_;
  std::chrono::milliseconds drain_timeout_{0};
  std::unique_ptr<net::OtlpExporter> spans_;  // null: nobody wants them
  std::unique_ptr<model::Checkpoint> checkpoint_;
  std::unique_ptr<kernels::ComputePool> pool_;
  uint64_t numerics_fingerprint_ = 0;
  std::unique_ptr<ExpertStore> store_;
  std::unique_ptr<ExpertCore> core_;
  std::unique_ptr<net::LinkHost> host_;
  std::unique_ptr<net::LinkTicker> ticker_;
  std::unique_ptr<grpc::Service> sessions_;
  std::unique_ptr<net::GrpcServer> server_;
  std::atomic<bool> stopping_{false};
  std::thread receiver_;
  node::TurnWatch turns_{node::kStuckAfterNs};
  std::unique_ptr<Membership> membership_;
  std::unique_ptr<node::ClusterClient> cluster_;
};

}  // namespace atoll::expert_node
