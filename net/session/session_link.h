#pragma once

// A Link over a Channel: header, credits, order and silence of one session. Owned by its SessionHost and guarded by that
// host's lock, which the Link calls take; the other calls expect it held.

#include <mutex>
#include <string>

#include "base/clock.h"
#include "net/link.h"
#include "net/session/channel.h"
#include "net/session/credit.h"
#include "net/session/peer_watch.h"

namespace atoll::net {

class SessionHost;

struct SessionLinkParams {
  SessionTicket ticket;
  LinkPeer peer;
  uint64_t id = 0;
  uint64_t incarnation = 0;  // of this process
  bool is_listener = false;
  PeerWatchTimes times;
  int64_t now_ns = 0;
};

class SessionLink final : public Link {
 public:
  SessionLink(SessionHost& host, Channel& channel, const SessionLinkParams& params);

  absl::Status Send(const FrameHeader& header, Payload payload) override { return SendKept(header, payload, nullptr); }
  absl::Status SendKept(const FrameHeader& header, Payload payload, std::shared_ptr<const void> keeper) override;
  bool CanSend() override;
  void Close(absl::Status reason) override;
  LinkState state() const override;
  LinkPeer peer() const override;
  const SessionTerms& terms() const override { return ticket_.terms; }
  uint64_t id() const override { return id_; }
  LinkCounters counters() const override;

  // What became of a message that arrived on this link's channel.
  enum class Received { kData, kHeartbeat, kHandshake, kGoodbye, kDropped, kCloseNow };
  Received OnMessage(std::span<const std::byte> header_bytes, std::span<const std::byte> payload, FrameHeader& header);
  void OnDelivered() { receive_credit_.OnDelivered(); }
  void Open() { state_ = LinkState::kOpen; }
  // From now on nothing is sent or received. Returns the channel, to be released.
  Channel& Detach();

  // Hello, welcome, heartbeat, goodbye: no credit needed.
  absl::Status SendControl(FrameType type, uint16_t code, std::span<const std::byte> payload);
  // True when the peer has been silent for too long.
  bool Tick(int64_t now_ns);
  void SendDueHeartbeat(int64_t now_ns);
  void AdvertiseIfOverdue();

  bool is_listener() const { return is_listener_; }
  bool wants_sendable = false;  // it was told that it cannot send since the last OnSendable
  const absl::Status& last_error() const { return last_error_; }
  int64_t started_ns() const { return started_ns_; }
  bool CanSendLocked() const;
  LinkState state_locked() const { return state_; }
  const SessionTicket& ticket() const { return ticket_; }

 private:
  absl::Status SendLocked(const FrameHeader& header, Payload payload, std::shared_ptr<const void> keeper);
  absl::Status Put(FrameHeader& header, Payload payload, std::shared_ptr<const void> keeper);
  Received Drop(uint64_t& counter, absl::Status why);
  absl::Status CheckPeer(const FrameHeader& header) const;

  SessionHost& host_;
  Channel* channel_;
  const SessionTicket ticket_;
  LinkPeer peer_;
  const uint64_t id_;
  const uint64_t incarnation_;
  const bool is_listener_;
  const int64_t started_ns_;
  LinkState state_ = LinkState::kConnecting;
  SendCredit send_credit_;
  ReceiveCredit receive_credit_;
  PeerWatch watch_;
  LinkCounters counters_;
  int strikes_ = 0;
  absl::Status last_error_;
};

}  // namespace atoll::net
