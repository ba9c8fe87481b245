#include "attention_node/links/peer_links.h"

#include <algorithm>

#include "base/log.h"

namespace atoll::attention_node {
namespace {

absl::Status LostError(const std::string& node_id, absl::string_view why) {
  return absl::UnavailableError(absl::StrCat("expert node ", node_id, " was lost: ", why));
}

}  // namespace

PeerLinks::PeerLinks(int64_t view_wait_ms, const RoutingOptions& routing, const Clock& clock)
    : view_wait_ns_(view_wait_ms * 1'000'000), routing_(routing), clock_(clock), newest_(std::make_shared<RoutingTable>()) {
  active_.table = newest_;
}

void PeerLinks::SetView(node::ClusterView view) {
  auto table = std::make_shared<RoutingTable>(std::move(view), routing_);
  std::shared_ptr<RoutingTable> freed_former, freed_newest;  // after the lock
  {
    std::lock_guard lock(mutex_);
    if (table->epoch() < newest_->epoch()) return;
    freed_former = std::move(former_);
    freed_newest = std::exchange(newest_, std::move(table));
    newest_since_ns_ = clock_.NowNs();
    pending_ = true;
    const std::vector<node::ExpertPeer>& peers = newest_->view().expert_nodes;
    std::erase_if(lost_, [&](const auto& entry) {
      return std::none_of(peers.begin(), peers.end(),
                          [&](const node::ExpertPeer& peer) { return peer.node_id == entry.first && peer.alive; });
    });
  }
  changed_ = true;
  host_->Wake();
}

std::vector<node::ExpertPeer> PeerLinks::MissingPeers() const {
  std::lock_guard lock(mutex_);
  std::vector<node::ExpertPeer> missing;
  for (const node::ExpertPeer& peer : newest_->view().expert_nodes) {
    if (peer.alive && !links_.contains({peer.node_id, peer.incarnation})) missing.push_back(peer);
  }
  return missing;
}

// The entry exists before the host knows the link, so that Opened and Closed, which may come first, find it.
absl::Status PeerLinks::Connect(const node::ExpertPeer& peer, net::SessionTicket ticket) {
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

uint64_t PeerLinks::epoch_ready() const {
  std::lock_guard lock(mutex_);
  return epoch_ready_;
}

std::map<std::string, std::string> PeerLinks::Lost() const {
  std::lock_guard lock(mutex_);
  return lost_;
}

void PeerLinks::Opened(net::Link& link) {
  const PeerKey key{link.peer().name, link.peer().incarnation};
  std::lock_guard lock(mutex_);
  const auto entry = links_.find(key);
  if (entry == links_.end()) return;  // an expert node's link to us: nothing is received on those
  entry->second = {&link, true};
  lost_.erase(key.first);
  changed_ = true;
}

absl::Status PeerLinks::Closed(net::Link& link, const absl::Status& reason) {
  const PeerKey key{link.peer().name, link.peer().incarnation};
  const std::string why = reason.ok() ? "it closed the link" : std::string(reason.message());
  {
    std::lock_guard lock(mutex_);
    links_.erase(key);
    if (Wanted(key)) lost_[key.first] = why;
  }
  for (size_t node = 0; node < active_.links.size(); ++node) {
    if (active_.links[node] == &link) active_.links[node] = nullptr, active_.usable[node] = false;
  }
  changed_ = true;
  return LostError(key.first, why);
}

absl::Status PeerLinks::WhyUnrouted(model::ExpertId expert) const {
  const node::ClusterView& view = active_.table->view();
  const std::vector<model::Replica>& replicas = view.placement.ReplicasOf(expert);
  if (replicas.empty()) return absl::UnavailableError(absl::StrCat("no node holds expert ", expert.expert, " of layer ", expert.layer));
  const std::string& node_id = view.expert_nodes[replicas.front().node].node_id;
  std::lock_guard lock(mutex_);
  const auto lost = lost_.find(node_id);
  return LostError(node_id, lost == lost_.end() ? "the router calls it dead" : lost->second);
}

void PeerLinks::Refresh() {
  const bool changed = changed_.exchange(false);
  if (!changed && !pending_) return;
  if (changed) CloseUnwanted();
  std::lock_guard lock(mutex_);
  if (pending_ || epoch_ready_ < newest_->epoch()) FollowNewest();
  FillLinks();
}

void PeerLinks::FollowNewest() {
  if (pending_ && AwaitsLink() && clock_.NowNs() - newest_since_ns_ < view_wait_ns_) return;
  if (pending_.exchange(false)) former_ = std::exchange(active_.table, newest_);
  const std::vector<node::ExpertPeer>& peers = newest_->view().expert_nodes;
  const bool all_open = std::all_of(peers.begin(), peers.end(), [&](const node::ExpertPeer& peer) { return !peer.alive || IsOpen(peer); });
  if (all_open) epoch_ready_ = newest_->epoch();
}

bool PeerLinks::Wanted(const PeerKey& key) const {
  const std::vector<node::ExpertPeer>& peers = newest_->view().expert_nodes;
  return std::any_of(peers.begin(), peers.end(), [&](const node::ExpertPeer& peer) {
    return peer.alive && peer.node_id == key.first && peer.incarnation == key.second;
  });
}

bool PeerLinks::IsOpen(const node::ExpertPeer& peer) const {
  const auto entry = links_.find({peer.node_id, peer.incarnation});
  return entry != links_.end() && entry->second.open;
}

// Whether a node of the newest view that the followed one does not know has no link yet.
bool PeerLinks::AwaitsLink() const {
  const std::vector<node::ExpertPeer>& known = active_.table->view().expert_nodes;
  const std::vector<node::ExpertPeer>& peers = newest_->view().expert_nodes;
  return std::any_of(peers.begin(), peers.end(), [&](const node::ExpertPeer& peer) {
    if (!peer.alive || IsOpen(peer)) return false;
    return std::none_of(known.begin(), known.end(), [&](const node::ExpertPeer& old) {
      return old.alive && old.node_id == peer.node_id && old.incarnation == peer.incarnation;
    });
  });
}

// OnClosed follows in the next Poll and returns what the link still owes. The pointers stay valid: only this thread's
// Poll ends a link.
void PeerLinks::CloseUnwanted() {
  std::vector<net::Link*> unwanted;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [key, peer] : links_) {
      if (peer.link != nullptr && !Wanted(key)) unwanted.push_back(peer.link);
    }
  }
  for (net::Link* link : unwanted) link->Close(absl::UnavailableError("the router calls this node dead"));
}

void PeerLinks::FillLinks() {
  const std::vector<node::ExpertPeer>& nodes = active_.table->view().expert_nodes;
  active_.links.assign(nodes.size(), nullptr);
  active_.usable.assign(nodes.size(), false);
  for (size_t node = 0; node < nodes.size(); ++node) {
    if (!nodes[node].alive || !IsOpen(nodes[node])) continue;
    active_.links[node] = links_.find({nodes[node].node_id, nodes[node].incarnation})->second.link;
    active_.usable[node] = true;
  }
}

}  // namespace atoll::attention_node
