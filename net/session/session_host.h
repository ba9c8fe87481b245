#pragma once

// A LinkHost over a Transport: handshake, delivery, heartbeats, silence, caps. One recursive lock guards host, links and
// transport; it is recursive because handlers, called with it held, may send and close.

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "net/link.h"
#include "net/session/channel.h"
#include "net/session/session_link.h"
#include "net/session/ticket_book.h"

namespace atoll::net {

class SessionHost final : public LinkHost, private TransportEvents {
 public:
  // `handler` and `clock` outlive the host.
  SessionHost(const LinkHostOptions& options, LinkHandler& handler, const Clock& clock, std::unique_ptr<Transport> transport);
  // Says goodbye on all links; calls no handler.
  ~SessionHost() override;

  size_t Poll(std::chrono::nanoseconds timeout) override;
  void Wake() override;
  void Tick() override;
  absl::StatusOr<Link*> Connect(const SessionTicket& ticket) override;
  absl::StatusOr<SessionTicket> AllowSession(const std::string& peer_name, const SessionTerms& terms) override;
  std::string data_address() const override { return transport_->address(); }
  HostCounters counters() const override;

  // For SessionLink, with mutex() held.
  std::recursive_mutex& mutex() const { return mutex_; }
  int64_t NowNs() const { return clock_.NowNs(); }
  void CloseLink(SessionLink& link, absl::Status reason);  // with goodbye
  void NoteBlocked(SessionLink& link);

 private:
  // What waits for the polling thread: because it arrived in a Tick, or because a handler is running.
  struct Event {
    enum class Kind { kOpen, kFrame, kClosed } kind;
    SessionLink* link;
    FrameHeader header;
    std::vector<std::byte> payload;
    absl::Status reason;
  };

  bool OnAccepted(Channel& channel) override;
  void OnMessage(Channel& channel, std::span<const std::byte> header, std::span<const std::byte> payload) override;
  void OnUnattributed() override;
  void OnLost(Channel& channel, const absl::Status& reason) override;

  void Handshake(Channel& channel, std::span<const std::byte> header, std::span<const std::byte> payload);
  absl::Status AcceptHello(Channel& channel, std::span<const std::byte> header, std::span<const std::byte> payload);
  void OnLinkMessage(SessionLink& link, std::span<const std::byte> header, std::span<const std::byte> payload);
  void OnWelcome(SessionLink& link, std::span<const std::byte> payload);
  void RefuseStranger(Channel& channel);
  SessionLink& AddLink(Channel& channel, const SessionTicket& ticket, const LinkPeer& peer, bool is_listener);
  void EndLink(SessionLink& link, absl::Status reason, ReleaseMode mode = ReleaseMode::kNow);

  bool DeliversInline() const { return inline_ && handler_depth_ == 0 && events_.empty(); }
  void DeliverFrame(SessionLink& link, const FrameHeader& header, std::span<const std::byte> payload);
  void HandleFrame(SessionLink& link, const FrameHeader& header, std::span<const std::byte> payload);
  void HandleEvent(Event& event);
  void DeliverEvents();
  void DeliverSendable();
  void ProgressTransport();
  void SendDueHeartbeats(int64_t now_ns);
  void RunTimers(int64_t now_ns);
  void ExpireHandshakes(int64_t now_ns);

  const LinkHostOptions options_;
  LinkHandler& handler_;
  const Clock& clock_;
  mutable std::recursive_mutex mutex_;
  std::unique_ptr<Transport> transport_;
  std::vector<std::unique_ptr<SessionLink>> links_;  // until their OnClosed returned
  std::unordered_map<Channel*, int64_t> strangers_;  // accepted at; no session shown yet
  TicketBook tickets_;
  std::deque<Event> events_;  // bounded: granted frames and two state changes per link
  bool blocked_ = false;      // some link wants OnSendable
  bool inline_ = false;       // inside Poll's progress
  int handler_depth_ = 0;
  size_t deliveries_ = 0;
  int64_t next_timers_ns_ = 0;
  uint64_t next_link_id_ = 1;
  HostCounters counters_;
  std::atomic<bool> polling_{false};
  std::atomic<bool> woken_{false};
};

}  // namespace atoll::net
