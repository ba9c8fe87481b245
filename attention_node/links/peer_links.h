#pragma once

// The links to the expert nodes of the newest view, and the view that dispatches follow: the newest one as soon as no link
// that is new in it is awaited, so that none of its nodes is missed, or after `view_wait_ms`: one node that cannot be
// reached must not keep the others' rows on an old table.
//
// Threads: Refresh, Opened, Closed and active() belong to the step thread; the rest is for any thread.

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "attention_node/routing/routing_table.h"
#include "base/clock.h"
#include "base/status.h"
#include "net/link.h"
#include "node/cluster.h"

namespace atoll::attention_node {

class PeerLinks {
 public:
  PeerLinks(int64_t view_wait_ms, const RoutingOptions& routing, const Clock& clock);

  void SetHost(net::LinkHost* host) { host_ = host; }

  // A newer view; one of an older epoch than the present one is ignored.
  void SetView(node::ClusterView view);
  // Living expert nodes of the newest view that have neither an open link nor one being opened.
  std::vector<node::ExpertPeer> MissingPeers() const;
  absl::Status Connect(const node::ExpertPeer& peer, net::SessionTicket ticket);
  // The newest view whose links are all open, which dispatches therefore follow.
  uint64_t epoch_ready() const;
  std::map<std::string, std::string> Lost() const;

  // What dispatches follow.
  struct Active {
    std::shared_ptr<RoutingTable> table;  // shared with newest_, from which any thread reads the view
    std::vector<net::Link*> links;        // by node index; null: not usable
    std::vector<bool> usable;
  };
  const Active& active() const { return active_; }
  // Follows what changed since the last call; cheap where nothing did. Never called inside a handler.
  void Refresh();
  void Opened(net::Link& link);
  // Returns the error of what the link owed.
  absl::Status Closed(net::Link& link, const absl::Status& reason);
  // Why no usable node holds the expert.
  absl::Status WhyUnrouted(model::ExpertId expert) const;

 private:
  struct PeerLink {
    net::Link* link = nullptr;  // null while Connect runs
    bool open = false;
  };
  using PeerKey = std::pair<std::string, uint64_t>;  // node id, incarnation

  void CloseUnwanted();
  void FollowNewest();
  void FillLinks();
  bool Wanted(const PeerKey& key) const;
  bool IsOpen(const node::ExpertPeer& peer) const;
  bool AwaitsLink() const;

  const int64_t view_wait_ns_;
  const RoutingOptions routing_;
  const Clock& clock_;
  net::LinkHost* host_ = nullptr;

  mutable std::mutex mutex_;  // never held while the host is called
  std::shared_ptr<RoutingTable> newest_;     // guarded by mutex_
  std::shared_ptr<RoutingTable> former_;     // guarded by mutex_; freed by the thread that brings the next view
  int64_t newest_since_ns_ = 0;              // guarded by mutex_
  uint64_t epoch_ready_ = 0;                 // guarded by mutex_
  std::map<PeerKey, PeerLink> links_;        // guarded by mutex_
  std::map<std::string, std::string> lost_;  // guarded by mutex_; node id -> reason
  std::atomic<bool> changed_{false};
  std::atomic<bool> pending_{false};         // newest_ is not followed yet
  Active active_;
};

}  // namespace atoll::attention_node
