#include "attention_node/expert_client.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"

namespace atoll::attention_node {
namespace {

constexpr int64_t kNsPerMs = 1'000'000;

const char* RefuseText(uint16_t code) {
  switch (static_cast<net::RefuseReason>(code)) {
    case net::RefuseReason::kUnknownEpoch: return "it does not know the placement's epoch";
    case net::RefuseReason::kNotOwned: return "it does not hold the expert";
    case net::RefuseReason::kOverloaded: return "its queue is full";
    case net::RefuseReason::kDraining: return "it is shutting down";
    case net::RefuseReason::kMalformed: return "it found the dispatch malformed";
    case net::RefuseReason::kInternal: return "it failed";
  }
  return "for an unknown reason";
}

absl::Status Lost(const std::string& node_id, absl::string_view why) {
  return absl::UnavailableError(absl::StrCat("expert node ", node_id, " was lost: ", why));
}

}  // namespace

ExpertClient::ExpertClient(const ExpertClientOptions& options, const Clock& clock) : options_(options), clock_(clock) {}

void ExpertClient::SetView(node::ClusterView view) {
  {
    std::lock_guard lock(mutex_);
    if (view.placement.epoch < newest_.placement.epoch) return;
    newest_ = std::move(view);
    newest_since_ns_ = clock_.NowNs();
    pending_ = true;
    std::erase_if(lost_, [&](const auto& entry) {
      return std::none_of(newest_.expert_nodes.begin(), newest_.expert_nodes.end(),
                          [&](const node::ExpertPeer& peer) { return peer.node_id == entry.first && peer.alive; });
    });
  }
  changed_ = true;
  host_->Wake();
}

std::vector<node::ExpertPeer> ExpertClient::MissingPeers() const {
  std::lock_guard lock(mutex_);
  std::vector<node::ExpertPeer> missing;
  for (const node::ExpertPeer& peer : newest_.expert_nodes) {
    if (peer.alive && !links_.contains({peer.node_id, peer.incarnation})) missing.push_back(peer);
  }
  return missing;
}

// The entry exists before the host knows the link, so that OnOpen and OnClosed, which may come first, find it.
absl::Status ExpertClient::Connect(const node::ExpertPeer& peer, net::SessionTicket ticket) {
  if (ticket.incarnation != peer.incarnation) {
    return absl::FailedPreconditionError(absl::StrCat("expert node ", peer.node_id, ": the ticket is of incarnation ", ticket.incarnation,
                                                      ", expected ", peer.incarnation));
  }
  const PeerKey key{peer.node_id, peer.incarnation};
  {
    std::lock_guard lock(mutex_);
    if (!links_.emplace(key, PeerLink{}).second) return absl::AlreadyExistsError(absl::StrCat("a link to ", peer.node_id, " exists"));
  }
  ticket.listener_name = peer.node_id;
  const absl::StatusOr<net::Link*> link = host_->Connect(ticket);
  std::lock_guard lock(mutex_);
  const auto entry = links_.find(key);
  if (!link.ok()) {
    lost_[peer.node_id] = std::string(link.status().message());
    if (entry != links_.end()) links_.erase(entry);
    return link.status();
  }
  if (entry != links_.end()) entry->second.link = *link;
  changed_ = true;
  return absl::OkStatus();
}

ExchangeReport ExpertClient::Report() const {
  std::lock_guard lock(mutex_);
  ExchangeReport report;
  report.epoch_ready = epoch_ready_;
  report.epoch_oldest_in_flight = report.epoch_ready;
  for (const std::atomic<uint64_t>& epoch : epochs_in_flight_) {
    if (const uint64_t open = epoch.load(); open != 0) report.epoch_oldest_in_flight = std::min(report.epoch_oldest_in_flight, open);
  }
  report.lost_peers = lost_;
  return report;
}

void ExpertClient::Post(const ExpertDispatch& dispatch) {
  Refresh();
  OpenDispatch& open = open_[dispatch.micro_batch];
  ATOLL_CHECK(!open.open(), absl::StrCat("micro-batch ", dispatch.micro_batch, " has an open dispatch"));
  const model::Placement& placement = active_.view.placement;
  open.Begin(dispatch, placement.epoch, clock_.NowNs());
  epochs_in_flight_[dispatch.micro_batch] = placement.epoch;
  if (!placement.Contains({dispatch.layer, 0})) {
    for (int32_t row = 0; row < dispatch.rows.rows; ++row) {
      open.FailRow(row, absl::UnavailableError("no expert node is known yet: the router has announced no placement whose nodes answer"));
    }
    return;
  }
  FirstUsableReplica choice(active_.usable);
  RouteRows(placement, dispatch.layer, dispatch.experts, dispatch.experts_per_row, choice, routes_);
  for (const UnroutedRow& row : routes_.unrouted) open.FailRow(row.row, WhyUnrouted({dispatch.layer, row.expert}));
  for (size_t node = 0; node < routes_.by_node.size(); ++node) {
    const std::vector<RoutedPair>& pairs = routes_.by_node[node];
    if (pairs.empty()) continue;
    net::Link* link = active_.links[node];
    const absl::Status added = open.AddNode(static_cast<int32_t>(node), link, link->terms().limits, pairs);
    if (added.ok()) continue;
    for (const RoutedPair& pair : pairs) open.FailRow(pair.row, added);
  }
  SendParts(open);
}

absl::Status ExpertClient::WhyUnrouted(model::ExpertId expert) const {
  const std::vector<model::Replica>& replicas = active_.view.placement.ReplicasOf(expert);
  if (replicas.empty()) return absl::UnavailableError(absl::StrCat("no node holds expert ", expert.expert, " of layer ", expert.layer));
  const std::string& node_id = active_.view.expert_nodes[replicas.front().node].node_id;
  std::lock_guard lock(mutex_);
  const auto lost = lost_.find(node_id);
  return Lost(node_id, lost == lost_.end() ? "the router calls it dead" : lost->second);
}

bool ExpertClient::Done(int32_t micro_batch) const { return open_[micro_batch].Done(); }

std::span<const FailedRow> ExpertClient::Take(int32_t micro_batch) {
  epochs_in_flight_[micro_batch] = 0;
  return open_[micro_batch].Take();
}

void ExpertClient::Wait(std::chrono::nanoseconds timeout) {
  Refresh();
  for (OpenDispatch& open : open_) FailIfLate(open);
  host_->Poll(timeout);
  Refresh();
  for (OpenDispatch& open : open_) SendParts(open);
}

// Parts that find no credit stay unsent until Poll brought some. Those of one link go in order.
void ExpertClient::SendParts(OpenDispatch& open) {
  if (!open.open() || open.Done()) return;
  net::Link* full = nullptr;
  for (OpenPart& part : open.parts()) {
    if (part.state != PartState::kUnsent || part.link == full) continue;
    net::FrameHeader header = open.HeaderOf(part);
    header.deadline_us = static_cast<uint32_t>(options_.dispatch_timeout_ms * 1000);
    const absl::Status sent = part.link->Send(header, open.PayloadOf(part));
    if (sent.ok()) part.state = PartState::kSent;
    else if (absl::IsResourceExhausted(sent)) full = part.link;
    else open.FailPart(part, Lost(part.link->peer().name, sent.message()));
  }
}

void ExpertClient::FailIfLate(OpenDispatch& open) {
  if (!open.open() || open.Done() || clock_.NowNs() - open.begin_ns() < options_.dispatch_timeout_ms * kNsPerMs) return;
  for (OpenPart& part : open.parts()) {
    if (part.state == PartState::kEnded) continue;
    open.FailPart(part, absl::UnavailableError(absl::StrCat("expert node ", part.link->peer().name, " did not answer within ",
                                                            options_.dispatch_timeout_ms, " ms")));
  }
}

void ExpertClient::OnFrame(net::Link& link, const net::FrameHeader& header, std::span<const std::byte> payload) {
  absl::Status failure;
  absl::StatusOr<net::ResultBody> body = absl::InternalError("no result");
  if (header.type == net::FrameType::kRefuse) {
    failure = absl::UnavailableError(absl::StrCat("expert node ", link.peer().name, " refused a dispatch: ", RefuseText(header.code)));
  } else if (header.type != net::FrameType::kResult) {
    return;
  } else if (header.code != 0) {
    failure = absl::Status(static_cast<absl::StatusCode>(header.code), absl::StrCat("expert node ", link.peer().name, " failed a dispatch"));
  } else {
    body = net::ResultBody::Parse(header, payload, link.terms().limits);
    if (!body.ok()) failure = absl::InternalError(absl::StrCat("expert node ", link.peer().name, ": ", body.status().message()));
  }
  for (OpenDispatch& open : open_) {
    if (failure.ok() ? open.Accept(&link, header, *body) : open.Refuse(&link, header, failure)) return;
  }
}

void ExpertClient::OnOpen(net::Link& link) {
  const PeerKey key{link.peer().name, link.peer().incarnation};
  {
    std::lock_guard lock(mutex_);
    const auto entry = links_.find(key);
    if (entry == links_.end()) return;  // an expert node's link to us: nothing is received on those
    entry->second = {&link, true};
    lost_.erase(key.first);
  }
  changed_ = true;
}

void ExpertClient::OnClosed(net::Link& link, const absl::Status& reason) {
  const PeerKey key{link.peer().name, link.peer().incarnation};
  const std::string why = reason.ok() ? "it closed the link" : std::string(reason.message());
  {
    std::lock_guard lock(mutex_);
    links_.erase(key);
    if (Wanted(key)) lost_[key.first] = why;
  }
  for (OpenDispatch& open : open_) {
    if (open.open()) open.FailLink(&link, Lost(key.first, why));
  }
  for (size_t node = 0; node < active_.links.size(); ++node) {
    if (active_.links[node] == &link) active_.links[node] = nullptr, active_.usable[node] = false;
  }
  changed_ = true;
}

void ExpertClient::Refresh() {
  const bool changed = changed_.exchange(false);
  if (!changed && !pending_) return;
  if (changed) CloseUnwanted();
  std::lock_guard lock(mutex_);
  if (pending_ || epoch_ready_ < newest_.placement.epoch) FollowNewest();
  FillLinks();
}

void ExpertClient::FollowNewest() {
  const bool all_open = AllLinksOpen();
  if (all_open) epoch_ready_ = newest_.placement.epoch;
  if (!pending_ || (!all_open && clock_.NowNs() - newest_since_ns_ < options_.view_wait_ms * kNsPerMs)) return;
  active_.view = newest_;
  pending_ = false;
}

bool ExpertClient::Wanted(const PeerKey& key) const {
  return std::any_of(newest_.expert_nodes.begin(), newest_.expert_nodes.end(), [&](const node::ExpertPeer& peer) {
    return peer.alive && peer.node_id == key.first && peer.incarnation == key.second;
  });
}

// OnClosed follows in the next Poll and fails what the link still owes. The pointers stay valid: only this thread's Poll
// ends a link.
void ExpertClient::CloseUnwanted() {
  std::vector<net::Link*> unwanted;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [key, peer] : links_) {
      if (peer.link != nullptr && !Wanted(key)) unwanted.push_back(peer.link);
    }
  }
  for (net::Link* link : unwanted) link->Close(absl::UnavailableError("the router calls this node dead"));
}

bool ExpertClient::AllLinksOpen() const {
  return std::all_of(newest_.expert_nodes.begin(), newest_.expert_nodes.end(), [&](const node::ExpertPeer& peer) {
    const auto entry = links_.find({peer.node_id, peer.incarnation});
    return !peer.alive || (entry != links_.end() && entry->second.open);
  });
}

void ExpertClient::FillLinks() {
  const std::vector<node::ExpertPeer>& nodes = active_.view.expert_nodes;
  active_.links.assign(nodes.size(), nullptr);
  active_.usable.assign(nodes.size(), false);
  for (size_t node = 0; node < nodes.size(); ++node) {
    const auto entry = links_.find({nodes[node].node_id, nodes[node].incarnation});
    if (!nodes[node].alive || entry == links_.end() || !entry->second.open) continue;
    active_.links[node] = entry->second.link;
    active_.usable[node] = true;
  }
}

}  // namespace atoll::attention_node
