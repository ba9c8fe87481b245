#include "attention_node/control/peer_connector.h"

#include <utility>

#include "base/log.h"
#include "node/session_client.h"

namespace atoll::attention_node {

PeerConnector::PeerConnector(PeerConnectorOptions options, ExpertClient& client)
    : options_(std::move(options)), client_(client), thread_([this] { Loop(); }) {}

PeerConnector::~PeerConnector() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void PeerConnector::Notify() {
  {
    std::lock_guard lock(mutex_);
    notified_ = true;
  }
  changed_.notify_one();
}

void PeerConnector::Loop() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    notified_ = false;
    lock.unlock();
    for (const node::ExpertPeer& peer : client_.MissingPeers()) Open(peer);
    lock.lock();
    changed_.wait_for(lock, std::chrono::milliseconds(options_.retry_ms), [&] { return stopping_ || notified_; });
  }
}

void PeerConnector::Open(const node::ExpertPeer& peer) {
  node::SessionRequest request = options_.caller;
  request.callee_incarnation = peer.incarnation;
  absl::StatusOr<net::SessionTicket> ticket =
      node::OpenSession(peer.control_address, request, std::chrono::milliseconds(options_.call_timeout_ms));
  const absl::Status opened = ticket.ok() ? client_.Connect(peer, *std::move(ticket)) : ticket.status();
  std::string& last = last_error_[peer.node_id];
  const std::string now = opened.ok() ? "" : opened.ToString();
  if (now != last && !opened.ok()) LogWarning("no link to expert node ", peer.node_id, ": ", now);
  last = now;
}

}  // namespace atoll::attention_node
