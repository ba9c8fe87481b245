#pragma once

// The ExpertExchange over links. Rows of a dispatch are grouped by the expert nodes that hold their experts, sent in parts,
// and the answers copied to their (row, slot). What happens when an expert node dies in mid-step: OnClosed fails the rows
// of every part that it still owed (Unavailable, naming it), at once; rows of other nodes are not touched. A node that
// says nothing is given up by the link (peer silence), or at the latest by the dispatch's deadline.
//
// Threads: Post, Done, Take, Wait and the LinkHandler calls belong to the step thread (handlers run inside Wait's Poll);
// SetView, Connect, MissingPeers and the readings are for any thread.

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "attention_node/expert_exchange.h"
#include "attention_node/routing/open_dispatch.h"
#include "attention_node/routing/route_rows.h"
#include "base/clock.h"
#include "model/config.h"
#include "net/link.h"
#include "node/cluster.h"

namespace atoll::attention_node {

struct ExpertClientOptions {
  int64_t dispatch_timeout_ms = 30000;  // from posting until every result is there
  // A newer view is followed as soon as all its links are open, so that none of its nodes is missed, or after this time:
  // one node that cannot be reached must not keep the others' rows on an old table.
  int64_t view_wait_ms = 1000;
};

struct ExchangeReport {
  uint64_t epoch_ready = 0;             // the newest view whose links are all open
  uint64_t epoch_oldest_in_flight = 0;  // that an open dispatch carries; else epoch_ready
  std::map<std::string, std::string> lost_peers;  // node id -> why, of nodes that the newest view calls alive
};

class ExpertClient final : public ExpertExchange, public net::LinkHandler {
 public:
  ExpertClient(const ExpertClientOptions& options, const Clock& clock);

  // Once, before anything else: `host` was made with this object as its handler.
  void SetHost(net::LinkHost* host) { host_ = host; }

  // A newer view of the cluster; an older epoch than the present one is ignored.
  void SetView(node::ClusterView view);
  // Living expert nodes of the newest view that have neither an open link nor one being opened.
  std::vector<node::ExpertPeer> MissingPeers() const;
  // Opens a link with a ticket that `peer` minted.
  absl::Status Connect(const node::ExpertPeer& peer, net::SessionTicket ticket);
  ExchangeReport Report() const;

  void Post(const ExpertDispatch& dispatch) override;
  bool Done(int32_t micro_batch) const override;
  std::span<const FailedRow> Take(int32_t micro_batch) override;
  void Wait(std::chrono::nanoseconds timeout) override;
  void Wake() override { host_->Wake(); }

  void OnFrame(net::Link& link, const net::FrameHeader& header, std::span<const std::byte> payload) override;
  void OnOpen(net::Link& link) override;
  void OnClosed(net::Link& link, const absl::Status& reason) override;

 private:
  struct PeerLink {
    net::Link* link = nullptr;  // null while Connect runs
    bool open = false;
  };
  using PeerKey = std::pair<std::string, uint64_t>;  // node id, incarnation
  // What dispatches follow. Step thread only.
  struct ActiveView {
    node::ClusterView view;
    std::vector<net::Link*> links;  // by node index; null: not usable
    std::vector<bool> usable;
  };

  void Refresh();
  void CloseUnwanted();
  void FollowNewest();
  void FillLinks();
  bool Wanted(const PeerKey& key) const;
  bool AllLinksOpen() const;
  void SendParts(OpenDispatch& open);
  void FailIfLate(OpenDispatch& open);
  absl::Status WhyUnrouted(model::ExpertId expert) const;

  const ExpertClientOptions options_;
  const Clock& clock_;
  net::LinkHost* host_ = nullptr;

  mutable std::mutex mutex_;  // never held while the host is called
  node::ClusterView newest_;                 // guarded by mutex_
  int64_t newest_since_ns_ = 0;              // guarded by mutex_
  uint64_t epoch_ready_ = 0;                 // guarded by mutex_
  std::map<PeerKey, PeerLink> links_;        // guarded by mutex_
  std::map<std::string, std::string> lost_;  // guarded by mutex_; node id -> reason
  std::atomic<bool> changed_{false};
  std::atomic<bool> pending_{false};         // newest_ is not followed yet
  std::array<std::atomic<uint64_t>, kMicroBatchesMax> epochs_in_flight_{};  // 0: none

  ActiveView active_;
  std::array<OpenDispatch, kMicroBatchesMax> open_;
  Routes routes_;
};

}  // namespace atoll::attention_node
