#pragma once

// One token through the whole cluster: what shows that an attention node and every expert node behind it work.

#include <functional>
#include <memory>

#include "base/clock.h"
#include "router/attention/attention_client.h"
#include "router/cluster/cluster_state.h"
#include "router/request/request_stream.h"

namespace atoll::router {

struct ProbeOptions {
  int32_t token_id = 0;
  int64_t timeout_ms = 30000;
  const Clock* clock = nullptr;
  // Called once, under the probe's lock: must not call the probe.
  std::function<void(const ProbeOrder&, const absl::Status&)> done;
};

// Thread-safe. Lives until `done` has been called.
class Probe final : public ResponseSink, public RequestObserver {
 public:
  Probe(const ProbeOrder& order, uint64_t sequence_id, const ProbeOptions& options);

  // `done` follows, at once when the node takes nothing.
  void Run(AttentionClient& client);
  // Fails the probe when its time is over.
  void Tick(int64_t now_ns);
  bool ended() const { return ended_.load(); }

 private:
  void Write(const ResponseDelta& delta) override;
  void End(const absl::Status& status) override;
  void OnFirstToken(const RequestStream&, int64_t) override {}
  void OnTokens(const TokenArrival&) override {}
  void OnRequestEnd(const RequestStream&, const RequestOutcome&) override {}

  const ProbeOrder order_;
  const ProbeOptions options_;
  const std::vector<int32_t> eos_ids_;
  std::atomic<bool> ended_{false};
  std::shared_ptr<RequestStream> stream_;  // shared with the attention client that feeds it
};

}  // namespace atoll::router
