#pragma once

// What an attention node tells the router and does at its word.

#include <string>

#include "attention_node/control/peer_connector.h"
#include "attention_node/core.h"
#include "attention_node/expert_client.h"
#include "node/cluster_client.h"
#include "node/process.h"

namespace atoll::attention_node {

struct MembershipParts {
  AttentionCore* core = nullptr;
  ExpertClient* client = nullptr;
  PeerConnector* connector = nullptr;
  node::StopSignal* stop = nullptr;
  std::string control_address;  // as other processes reach this node
  uint64_t weight_bytes = 0;    // in memory
};

// Whether a living expert node of the view is reached under the same host as `control_address`.
bool SharesHost(const node::ClusterView& view, const std::string& control_address);

// Called from the cluster client's threads; all parts outlive it.
class Membership final : public node::ClusterMember {
 public:
  explicit Membership(const MembershipParts& parts) : parts_(parts) {}

  node::NodeState CurrentState() override;
  node::Heartbeat TakeHeartbeat() override;
  void OnView(node::ClusterView view) override;
  void OnDrain(const std::string& reason) override;
  void OnRefused(const absl::Status& status) override;

 private:
  const MembershipParts parts_;
  uint64_t steps_reported_ = 0, layers_reported_ = 0, sent_again_reported_ = 0, preemptions_reported_ = 0;  // heartbeats come one after the other
};

}  // namespace atoll::attention_node
