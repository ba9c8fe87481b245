#include "expert_node/membership.h"

#include <utility>

#include "base/log.h"

namespace atoll::expert_node {

node::NodeState Membership::CurrentState() { return {store_.State().loaded_epoch, store_.Loaded(), std::nullopt}; }

node::Heartbeat Membership::TakeHeartbeat() {
  const ExpertStore::LoadState state = store_.State();
  const CoreCounters counters = core_.counters();
  node::Heartbeat heartbeat;
  heartbeat.epoch_ready = state.loaded_epoch;
  heartbeat.loaded_bytes = state.loaded_bytes;
  heartbeat.to_load_bytes = state.to_load_bytes;
  heartbeat.rows_run = counters.rows_run - std::exchange(rows_reported_, counters.rows_run);
  heartbeat.busy_us = counters.busy_us - std::exchange(busy_reported_us_, counters.busy_us);
  return heartbeat;
}

// Who sends to this node decides the router; until it has moved its replicas away, they are served.
void Membership::OnDrain(const std::string& reason) { LogInfo("the router drains this node: ", reason); }

void Membership::OnRefused(const absl::Status& status) {
  stop_.Request(absl::Status(status.code(), absl::StrCat("the router refuses this node: ", status.message())));
}

}  // namespace atoll::expert_node
