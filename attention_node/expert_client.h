#pragma once

// The ExpertExchange over links. Rows of a dispatch are split over the replicas of their experts, grouped by expert node,
// sent in parts, and the answers copied to their (row, slot). What happens when an expert node dies in mid-step: OnClosed
// returns every part that it still owed, and its rows go to other replicas within the same layer, at once; where no usable
// node holds one, the row fails (Unavailable, naming the node). The same for a part that is refused, after a bounded wait
// for a newer view or for an overloaded node. Rows of other nodes are not touched. A node that says nothing is given up by
// the link (peer silence), or at the latest by the dispatch's deadline.
//
// Threads: Post, Done, Take, Wait and the LinkHandler calls belong to the step thread (handlers run inside Wait's Poll);
// SetView, Connect, MissingPeers and the readings are for any thread.

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "attention_node/expert_exchange.h"
#include "attention_node/links/peer_links.h"
#include "attention_node/routing/open_dispatch.h"
#include "attention_node/routing/replica_selector.h"
#include "attention_node/routing/route_rows.h"
#include "base/clock.h"
#include "net/link.h"
#include "node/cluster.h"

namespace atoll::attention_node {

struct ExpertClientOptions {
  int64_t dispatch_timeout_ms = 30000;  // from posting until every result is there
  int64_t view_wait_ms = 1000;          // for the links of a newer view (PeerLinks)
  int64_t refused_wait_ms = 3000;       // for a newer view, where a refused row has no other replica
  int64_t overload_backoff_ms = 5;      // doubled with every try
  RoutingOptions routing{};
};

struct ExchangeReport {
  uint64_t epoch_ready = 0;             // the newest view whose links are all open; dispatches follow it
  uint64_t epoch_oldest_in_flight = 0;  // that an open dispatch carries; else epoch_ready
  uint64_t parts_sent_again = 0;        // since the start
  std::map<std::string, std::string> lost_peers;  // node id -> why, of nodes that the newest view calls alive
};

class ExpertClient final : public ExpertExchange, public net::LinkHandler {
 public:
  ExpertClient(const ExpertClientOptions& options, const Clock& clock);

  // Once, before anything else: `host` was made with this object as its handler.
  void SetHost(net::LinkHost* host);

  // A newer view of the cluster; an older epoch than the present one is ignored.
  void SetView(node::ClusterView view) { peers_.SetView(std::move(view)); }
  // Living expert nodes of the newest view that have neither an open link nor one being opened.
  std::vector<node::ExpertPeer> MissingPeers() const { return peers_.MissingPeers(); }
  // Opens a link with a ticket that `peer` minted.
  absl::Status Connect(const node::ExpertPeer& peer, net::SessionTicket ticket) { return peers_.Connect(peer, std::move(ticket)); }
  ExchangeReport Report() const;

  void Post(const ExpertDispatch& dispatch) override;
  bool Done(int32_t micro_batch) const override;
  std::span<const FailedRow> Take(int32_t micro_batch) override;
  void Wait(std::chrono::nanoseconds timeout) override;
  void Wake() override { host_->Wake(); }

  void OnFrame(net::Link& link, const net::FrameHeader& header, std::span<const std::byte> payload) override;
  void OnOpen(net::Link& link) override { peers_.Opened(link); }
  void OnClosed(net::Link& link, const absl::Status& reason) override;

 private:
  void OnRefused(net::Link& link, const net::FrameHeader& header);
  void OnResult(net::Link& link, const net::FrameHeader& header, std::span<const std::byte> payload);
  int32_t AddRoutes(OpenDispatch& open, PartSending sending);
  void SendAgain(OpenDispatch& open);
  bool RouteAgain(OpenDispatch& open, const OpenPart& part);
  int32_t NodeAgain(const OpenPart& part, int32_t layer, int32_t expert) const;
  void SendParts(OpenDispatch& open);
  void MarkSent(const OpenDispatch& open, OpenPart& part);
  void FailIfLate(OpenDispatch& open);
  void Cancel(OpenDispatch& open, const OpenPart& part);
  bool AnyReturned() const;

  const ExpertClientOptions options_;
  const Clock& clock_;
  net::LinkHost* host_ = nullptr;
  PeerLinks peers_;
  std::array<std::atomic<uint64_t>, kMicroBatchesMax> epochs_in_flight_{};  // 0: none
  std::atomic<uint64_t> parts_sent_again_{0};

  std::array<OpenDispatch, kMicroBatchesMax> open_;
  ReplicaSelector selector_;
  Routes routes_;
  std::vector<RoutedPair> returned_;  // scratch of RouteAgain
};

}  // namespace atoll::attention_node
