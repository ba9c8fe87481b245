#include "tests/cluster/in_memory_cluster.h"

#include <algorithm>
#include <bit>
#include <thread>

#include "absl/strings/str_format.h"
#include "base/check.h"
#include "tests/cluster/in_memory_members.h"

namespace atoll::cluster_test {
namespace {

using attention_node::SampledToken;

std::string Bits(float value) { return absl::StrFormat("%08x", std::bit_cast<uint32_t>(value)); }

// Any table will do, as long as every node holds something and layers differ. The i-th copy of an expert lies i nodes on.
model::Placement Place(const model::Checkpoint& checkpoint, const ClusterShape& shape) {
  model::Placement placement = model::EmptyPlacement(checkpoint.config(), checkpoint.has_mtp());
  placement.epoch = 1;
  for (int node = 0; node < shape.expert_nodes; ++node) placement.node_ids.push_back(absl::StrCat("expert-", node));
  for (const model::ExpertId& id : model::AllExperts(checkpoint.config(), checkpoint.has_mtp()))
    for (int copy = 0; copy < shape.copies; ++copy)
      placement.ReplicasOf(id).push_back({(id.expert * 7 + id.layer + shape.placement_seed + copy) % shape.expert_nodes, 1.0 / shape.copies});
  return placement;
}

}  // namespace

std::string Fingerprint(const Outcome& outcome) {
  std::string text;
  for (const SampledToken& token : outcome.tokens) {
    absl::StrAppend(&text, token.token_id, ":", Bits(token.logprob));
    for (size_t i = 0; i < token.top_ids.size(); ++i) absl::StrAppend(&text, ",", token.top_ids[i], ":", Bits(token.top_logprobs[i]));
    text += " ";
  }
  return absl::StrCat(text, "end ", static_cast<int>(outcome.end.reason), " ", std::string(outcome.end.status.message()));
}

InMemoryCluster::InMemoryCluster(const model::Checkpoint& checkpoint, const attention_node::AttentionShard& shard, const ClusterShape& shape)
    : shape_(shape), checkpoint_(checkpoint), placement_(Place(checkpoint, shape)), alive_(shape.expert_nodes, true) {
  for (int i = 0; i < shape.expert_nodes; ++i) {
    experts_.push_back(std::make_unique<ExpertMember>(checkpoint, network_, shape, absl::StrCat("expert-", i), 1));
    experts_.back()->Load({placement_.epoch, model::ExpertsOfNode(placement_, i)});
  }
  for (int i = 0; i < shape.attention_nodes; ++i)
    attention_.push_back(std::make_unique<AttentionMember>(checkpoint, shard, network_, shape, absl::StrCat("attention-", i)));
  AnnounceView();
}

InMemoryCluster::~InMemoryCluster() = default;

void InMemoryCluster::AnnounceView() {
  node::ClusterView view;
  view.placement = placement_;
  view.attention_nodes = shape_.attention_nodes;
  for (size_t i = 0; i < experts_.size(); ++i) {
    view.expert_nodes.push_back(experts_[i]->peer());
    view.expert_nodes.back().alive = alive_[i];
    if (i < shape_.speeds.size()) view.expert_nodes.back().speed = shape_.speeds[i];
  }
  for (const auto& attention : attention_) attention->client().SetView(view);
  OpenLinks();
}

void InMemoryCluster::OpenLinks() {
  for (const auto& attention : attention_) {
    while (attention->client().Report().epoch_ready != placement_.epoch) {
      for (const node::ExpertPeer& peer : attention->client().MissingPeers()) {
        const node::SessionRequest request{attention->name(), 1, peer.incarnation, placement_.epoch,
                                           node::TermsOf(checkpoint_.config(), checkpoint_.fingerprint(), shape_.core.activation_dtype)};
        const auto expert = std::find_if(experts_.begin(), experts_.end(), [&](const auto& e) { return e->name() == peer.node_id; });
        auto ticket = (*expert)->core().Mint(request);
        ATOLL_CHECK(ticket.ok(), std::string(ticket.status().message()));
        // A link that breaks meanwhile is missing again.
        (void)attention->client().Connect(peer, *std::move(ticket));
      }
      std::this_thread::yield();
    }
  }
}

int InMemoryCluster::Submit(attention_node::SequenceRequest request) {
  const int handle = static_cast<int>(handles_.size());
  const int node = handle % shape_.attention_nodes;
  request.key = {1, static_cast<uint64_t>(handle) + 1};
  handles_.push_back({node, request.key});
  const absl::Status status = attention_[node]->core().Submit(std::move(request));
  ATOLL_CHECK(status.ok(), std::string(status.message()));
  return handle;
}

void InMemoryCluster::Cancel(int handle) { attention_[handles_[handle].node]->core().Cancel(handles_[handle].key); }

Outcome InMemoryCluster::Await(int handle) {
  Outcome outcome;
  const bool ended = attention_[handles_[handle].node]->Await(handles_[handle].key, [](const auto& progress) { return progress.ended; }, &outcome);
  ATOLL_CHECK(ended, absl::StrCat("sequence ", handle, " has ", outcome.tokens.size(), " tokens and does not end"));
  preemptions_ += outcome.end.times.preemptions;
  return outcome;
}

void InMemoryCluster::AwaitTokens(int handle, size_t tokens) {
  Outcome outcome;
  const bool came = attention_[handles_[handle].node]->Await(
      handles_[handle].key, [&](const auto& progress) { return progress.ended || progress.outcome.tokens.size() >= tokens; }, &outcome);
  ATOLL_CHECK(came, absl::StrCat("sequence ", handle, " has ", outcome.tokens.size(), " tokens and gets no more"));
}

std::vector<Outcome> InMemoryCluster::Run(const std::vector<attention_node::SequenceRequest>& requests) {
  std::vector<int> handles;
  for (const attention_node::SequenceRequest& request : requests) handles.push_back(Submit(request));
  std::vector<Outcome> outcomes;
  for (int handle : handles) outcomes.push_back(Await(handle));
  return outcomes;
}

void InMemoryCluster::Kill(int expert_node) {
  alive_[expert_node] = false;
  network_.Disconnect(experts_[expert_node]->name());
}

// To every living node what it holds of `added` and, where given, of `kept`; waits until it has it.
void InMemoryCluster::Assign(const model::Placement& added, const model::Placement* kept) {
  ++placement_.epoch;
  for (size_t i = 0; i < experts_.size(); ++i) {
    if (!alive_[i]) continue;
    std::vector<model::ExpertId> experts = model::ExpertsOfNode(added, static_cast<int32_t>(i));
    if (kept != nullptr) {
      const std::vector<model::ExpertId> more = model::ExpertsOfNode(*kept, static_cast<int32_t>(i));
      experts.insert(experts.end(), more.begin(), more.end());
      std::sort(experts.begin(), experts.end());
      experts.erase(std::unique(experts.begin(), experts.end()), experts.end());
    }
    experts_[i]->Load({placement_.epoch, std::move(experts)});
  }
}

void InMemoryCluster::Announce(model::Placement next) {
  next.epoch = placement_.epoch + 1;
  placement_ = std::move(next);
  AnnounceView();
  for (const auto& attention : attention_)
    while (attention->client().Report().epoch_oldest_in_flight < placement_.epoch) std::this_thread::yield();
}

void InMemoryCluster::Replace(model::Placement next) {
  Assign(next, &placement_);
  Announce(std::move(next));
  Assign(placement_, nullptr);
}

void InMemoryCluster::LoadAndFree(const model::Placement& next) {
  Assign(next, &placement_);
  Assign(next, nullptr);
}

void InMemoryCluster::Restart(int expert_node) {
  const node::ExpertPeer before = experts_[expert_node]->peer();
  experts_[expert_node] = nullptr;  // the name is free again
  experts_[expert_node] = std::make_unique<ExpertMember>(checkpoint_, network_, shape_, before.node_id, before.incarnation + 1);
  alive_[expert_node] = true;
  ++placement_.epoch;
  experts_[expert_node]->Load({placement_.epoch, model::ExpertsOfNode(placement_, expert_node)});
  AnnounceView();
}

uint64_t InMemoryCluster::parts_sent_again() const {
  uint64_t sum = 0;
  for (const auto& attention : attention_) sum += attention->client().Report().parts_sent_again;
  return sum;
}

uint64_t InMemoryCluster::refused() const {
  uint64_t sum = 0;
  for (const auto& expert : experts_) sum += expert->core().counters().refused;
  return sum;
}

uint64_t InMemoryCluster::rows_run(int expert_node) const { return experts_[expert_node]->core().counters().rows_run; }

attention_node::CoreLoad InMemoryCluster::load(int attention_node) const { return attention_[attention_node]->core().load(); }

}  // namespace atoll::cluster_test
