#pragma once

// Carries out what ClusterState orders: messages to nodes, streams to attention nodes, probes. Thread-safe.

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "router/cluster/cluster_state.h"
#include "router/control/control_report.h"
#include "router/control/planner.h"
#include "router/control/probe.h"
#include "router/inference/front_door.h"

namespace atoll::router {

// One node's Join stream as seen from here. Thread-safe; calls neither block nor call back from within.
class JoinStream {
 public:
  virtual ~JoinStream() = default;
  // False: the node does not read what it is sent.
  [[nodiscard]] virtual bool SendAssignment(uint64_t epoch, const std::vector<model::ExpertId>& experts) = 0;
  [[nodiscard]] virtual bool SendView(const ClusterView& view) = 0;
  [[nodiscard]] virtual bool SendDrain(const std::string& reason) = 0;
  virtual void SendAccepted() = 0;
  virtual void End(const absl::Status& status) = 0;
};

struct ClusterControlOptions {
  ClusterOptions cluster;
  int32_t probe_token_id = 0;
  std::function<void(const HealthView&)> on_health;  // on change; must not call the control
};

class ClusterControl final : public ServingSource {
 public:
  ClusterControl(ClusterControlOptions options, const ExpertsToPlace& experts, const Clock* clock);
  ~ClusterControl() override;  // after Shutdown

  absl::StatusOr<StreamId> OnHello(const NodeHello& hello, std::shared_ptr<JoinStream> stream);
  absl::Status OnHeartbeat(StreamId stream, const NodeHeartbeat& heartbeat);
  void OnLeaving(StreamId stream, const std::string& reason);
  void OnStreamEnd(StreamId stream);

  // Every tick_ms from one thread, which also closes the streams to lost attention nodes.
  void Tick();
  // Waits up to `timeout` for something that Tick should do at once.
  void WaitForWork(std::chrono::milliseconds timeout);
  // Ends all streams; nothing is served afterwards. Only when Tick does not run any more.
  void Shutdown(const absl::Status& reason);

  std::shared_ptr<const Serving> serving() const override;
  uint64_t MintSequenceIds(int32_t count) override { return next_sequence_id_.fetch_add(count); }
  ClusterReport Report(bool expert_counts) const;

  // An operator's: a plan to look at, which Report shows when it is there; to carry it out; to keep everything in place.
  void AskForPlan(bool full);
  absl::Status ApplyPlan();
  void Freeze(bool frozen);

 private:
  void CarryOutLocked(Orders& orders);
  void SendLocked(StreamId stream, const std::function<bool(JoinStream&)>& send);
  void ConnectLocked(const AttentionTarget& target);
  void DisconnectLocked(const std::string& node_id);
  void StartProbeLocked(const ProbeOrder& order);
  void RefreshServingLocked();
  void CloseDisconnected();
  void HandleProbes();
  void NoteTokensLocked(Orders& orders);
  void Post(ProbeOrder order, absl::Status result);
  template <typename Event>
  void Handle(Event event);

  const ClusterControlOptions options_;
  const Clock* const clock_;
  std::atomic<uint64_t> next_sequence_id_{1};

  mutable std::mutex mutex_;  // guards all down to work_mutex_
  ClusterState state_;
  std::map<StreamId, std::shared_ptr<JoinStream>> streams_;                    // shared with the service's call
  std::map<std::string, std::shared_ptr<AttentionClient>> attention_clients_;  // shared with the requests that they host
  std::vector<std::shared_ptr<AttentionClient>> disconnected_;                 // to be closed by Tick
  std::vector<std::unique_ptr<Probe>> probes_;
  std::map<std::string, int64_t> tokens_seen_;  // by node id, of its present stream
  std::shared_ptr<const Serving> serving_;  // shared with requests being placed
  HealthView health_;
  bool shut_down_ = false;
  Planner planner_;  // its results come in through Handle

  std::mutex work_mutex_;  // guards what follows; taken last
  std::condition_variable work_changed_;
  std::vector<std::pair<ProbeOrder, absl::Status>> probe_results_;
  bool work_ = false;
};

}  // namespace atoll::router
