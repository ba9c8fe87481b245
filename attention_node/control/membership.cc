#include "attention_node/control/membership.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace atoll::attention_node {

bool SharesHost(const node::ClusterView& view, const std::string& control_address) {
  return std::any_of(view.expert_nodes.begin(), view.expert_nodes.end(), [&](const node::ExpertPeer& peer) {
    return peer.alive && node::HostPart(peer.control_address) == node::HostPart(control_address);
  });
}

node::NodeState Membership::CurrentState() {
  const CoreOptions& options = parts_.core->options();
  node::NodeState state;
  state.capacity = node::AttentionCapacity{.max_num_seqs = options.max_num_seqs,
                                           .max_num_batched_tokens = options.max_num_batched_tokens,
                                           .max_model_len = options.max_model_len,
                                           .pages = options.pages,
                                           .max_queued = options.max_queued};
  return state;
}

node::Heartbeat Membership::TakeHeartbeat() {
  const CoreLoad load = parts_.core->load();
  ExchangeReport exchange = parts_.client->Report();
  node::Heartbeat heartbeat;
  heartbeat.epoch_ready = exchange.epoch_ready;
  heartbeat.epoch_oldest_in_flight = exchange.epoch_oldest_in_flight;
  heartbeat.running = load.running;
  heartbeat.waiting = load.waiting;
  heartbeat.pages_free = load.pages_free;
  heartbeat.loaded_bytes = parts_.weight_bytes;
  heartbeat.layers_run = load.layers_run - std::exchange(layers_reported_, load.layers_run);
  heartbeat.steps = load.steps - std::exchange(steps_reported_, load.steps);
  heartbeat.parts_sent_again = exchange.parts_sent_again - std::exchange(sent_again_reported_, exchange.parts_sent_again);
  heartbeat.preemptions = load.preemptions - std::exchange(preemptions_reported_, load.preemptions);
  heartbeat.lost_peers = std::move(exchange.lost_peers);
  heartbeat.routing_bias = parts_.core->routing_bias().TakeCounts();
  for (const LayerExpertCounts& counts : parts_.core->expert_counts().Take()) {
    heartbeat.expert_counts.push_back({.layer = counts.layer,
                                       .prompt = {counts.prompt.begin(), counts.prompt.end()},
                                       .generated = {counts.generated.begin(), counts.generated.end()}});
  }
  return heartbeat;
}

void Membership::OnView(node::ClusterView view) {
  LogInfo("placement epoch ", view.placement.epoch, " over ", view.expert_nodes.size(), " expert nodes");
  parts_.core->SetSharesProcessors(SharesHost(view, parts_.control_address));
  parts_.core->routing_bias().SetView(view);
  parts_.client->SetView(std::move(view));
  parts_.connector->Notify();
}

// The router sends no new sequences to a node that it drains; those that run are served to their end.
void Membership::OnDrain(const std::string& reason) { LogInfo("the router drains this node: ", reason); }

void Membership::OnRefused(const absl::Status& status) {
  parts_.stop->Request(absl::Status(status.code(), absl::StrCat("the router refuses this node: ", status.message())));
}

}  // namespace atoll::attention_node
