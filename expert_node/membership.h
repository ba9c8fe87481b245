#pragma once

// What an expert node tells the router and does at its word.

#include "expert_node/core.h"
#include "expert_node/expert_store.h"
#include "node/cluster_client.h"
#include "node/process.h"

namespace atoll::expert_node {

// Called from the cluster client's threads; all three parts outlive it.
class Membership final : public node::ClusterMember {
 public:
  Membership(const ExpertCore& core, ExpertStore& store, node::StopSignal& stop) : core_(core), store_(store), stop_(stop) {}

  node::NodeState CurrentState() override;
  node::Heartbeat TakeHeartbeat() override;
  void OnAssignment(node::Assignment assignment) override { store_.Assign(std::move(assignment)); }
  void OnDrain(const std::string& reason) override;
  void OnRefused(const absl::Status& status) override;

 private:
  const ExpertCore& core_;
  ExpertStore& store_;
  node::StopSignal& stop_;
  uint64_t rows_reported_ = 0, busy_reported_us_ = 0;  // heartbeats come one after the other
};

}  // namespace atoll::expert_node
