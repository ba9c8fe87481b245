#pragma once

// Everything that an attention process owns, in construction order.

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "attention_node/control/attention_service.h"
#include "attention_node/control/membership.h"
#include "attention_node/control/peer_connector.h"
#include "attention_node/core.h"
#include "attention_node/expert_client.h"
#include "base/status.h"
#include "kernels/cpu/compute_pool.h"
#include "net/grpc/server.h"
#include "net/link_ticker.h"
#include "net/otlp/otlp_exporter.h"
#include "node/node_options.h"
#include "node/turn_watch.h"

namespace atoll::attention_node {

struct AttentionOptions {
  node::NodeOptions node;
  int64_t max_model_len = 0;          // 0: the model's
  int64_t max_num_seqs = 256;
  int64_t max_num_batched_tokens = 512;
  int64_t kv_cache_memory_bytes = 0;  // 0: what max_num_seqs full sequences need, at most a quarter of the free memory
  int64_t max_queued = 1024;
  std::string micro_batches = "auto";
};

// Owned by the main thread.
class App {
 public:
  // Loads the weights, listens and joins the router. `stop` outlives it.
  static absl::StatusOr<std::unique_ptr<App>> Start(const AttentionOptions& options, node::StopSignal& stop);
  // Leaves the cluster, ends streams and links, ends the server.
  ~App();

  const std::string& address() const { return server_->address(); }
  // Health follows the links, and says when the step loop is stuck: called now and then.
  void RefreshHealth();

 private:
  App() = default;
  absl::Status OpenModel(const AttentionOptions& options, const node::NodeSettings& settings);
  absl::Status MakeCore(const AttentionOptions& options, const node::NodeSettings& settings);
  absl::Status OpenNetwork(const AttentionOptions& options, const node::NodeSettings& settings);
  void Join(const AttentionOptions& options, const node::NodeSettings& settings, node::StopSignal& stop);
  void StepLoop();

  const SteadyClock clock_;
  std::unique_ptr<net::OtlpExporter> spans_;  // null: nobody wants them
  std::unique_ptr<model::Checkpoint> checkpoint_;
  std::unique_ptr<kernels::ComputePool> pool_;
  uint64_t numerics_fingerprint_ = 0;
  AttentionShard shard_;
  std::unique_ptr<ExpertClient> client_;
  std::unique_ptr<net::LinkHost> host_;
  std::unique_ptr<net::LinkTicker> ticker_;
  std::unique_ptr<AttentionService> service_;
  std::unique_ptr<Constraints> constraints_;  // null: the model is served by token ids alone
  std::unique_ptr<AttentionCore> core_;
  std::unique_ptr<net::GrpcServer> server_;
  std::atomic<bool> stopping_{false};
  std::thread stepper_;
  node::TurnWatch turns_{node::kStuckAfterNs};
  std::unique_ptr<PeerConnector> connector_;
  std::unique_ptr<Membership> membership_;
  std::unique_ptr<node::ClusterClient> cluster_;
};

}  // namespace atoll::attention_node
