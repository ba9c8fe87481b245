#pragma once

// The data path between processes. A LinkHost is a process's end of all its links; a Link is one authenticated session
// with one peer: bounded send, ordered receive (a frame arrives at most once and never after a later one), credits, and
// a state with its reason. net/memory and net/ucx make hosts; both behave alike.
//
// Threads: one thread at a time calls LinkHost::Poll, and all handler calls happen inside Poll on that thread. Everything
// else may be called from any thread, handlers included (they may send, close and connect, but not Poll or destroy).

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/status.h"
#include "net/session.h"
#include "net/wire_format.h"

namespace atoll::net {

enum class LinkState { kConnecting, kOpen, kClosed };

struct LinkPeer {
  std::string name;
  uint64_t incarnation = 0;
};

struct LinkCounters {
  uint64_t frames_sent = 0, bytes_sent = 0;
  uint64_t frames_received = 0, bytes_received = 0;
  uint64_t refused_sends = 0;       // Send without credit or slot
  uint64_t dropped_malformed = 0;   // header, check or MAC wrong, or more than was granted
  uint64_t dropped_stale = 0;       // another incarnation
  uint64_t dropped_repeated = 0;    // sequence not above the last one
};

using Payload = std::span<const std::span<const std::byte>>;

class Link {
 public:
  virtual ~Link() = default;

  // Sends the pieces of `payload` as one frame; they may be reused at once. ResourceExhausted without credit or slot
  // (LinkHandler::OnSendable tells when to try again), Unavailable when not open, InvalidArgument for a frame that breaks
  // the session's limits.
  virtual absl::Status Send(const FrameHeader& header, Payload payload) = 0;
  // The same without a copy where the transport can: the bytes stay as they are until the link dropped `keeper`, which is
  // shared by the caller and by sends under way. It pays for one large contiguous piece.
  virtual absl::Status SendKept(const FrameHeader& header, Payload payload, std::shared_ptr<const void> keeper) = 0;
  // Whether Send of a frame within the limits would succeed now. Where not, OnSendable tells when, as after a refused Send.
  virtual bool CanSend() = 0;
  // Orderly: what was sent before still arrives. The peer gets the code, this side's OnClosed gets `reason`.
  virtual void Close(absl::Status reason) = 0;

  virtual LinkState state() const = 0;
  virtual LinkPeer peer() const = 0;
  virtual const SessionTerms& terms() const = 0;
  virtual uint64_t id() const = 0;  // unique in its host, never used again
  virtual LinkCounters counters() const = 0;
};

// Calls are short: the host is locked meanwhile. Computing starts after Poll returned.
class LinkHandler {
 public:
  virtual ~LinkHandler() = default;
  // `payload` is valid during the call only and has no alignment: copy from it.
  virtual void OnFrame(Link& link, const FrameHeader& header, std::span<const std::byte> payload) = 0;
  virtual void OnOpen(Link& link) = 0;
  // Exactly once for each link that Connect returned or OnOpen named. `link` is gone when the call returns. OK: the peer
  // said goodbye with OK; Unavailable: it died, fell silent or could not be reached.
  virtual void OnClosed(Link& link, const absl::Status& reason) = 0;
  // A Send was refused for lack of credit or slots, or CanSend said no, and now it would succeed.
  virtual void OnSendable(Link&) {}
};

struct HostCounters {
  uint64_t accepted = 0;             // connections that reached the listener
  uint64_t refused_connections = 0;  // over a cap
  uint64_t refused_handshakes = 0;   // first message malformed, unknown or used session, wrong MAC, other terms, too slow
  uint64_t unattributed_frames = 0;  // of no connection, or before or instead of a handshake
};

class LinkHost {
 public:
  virtual ~LinkHost() = default;

  // Waits until something was delivered, Wake was called or `timeout` passed. Returns the number of handler calls made.
  virtual size_t Poll(std::chrono::nanoseconds timeout) = 0;
  // Makes the present or else the next Poll return.
  virtual void Wake() = 0;
  // Heartbeats, silence and progress for a host that nobody polls now; what arrives is kept for the next Poll. While a
  // Poll waits, heartbeats alone. A LinkTicker calls it.
  virtual void Tick() = 0;

  // Opens with a ticket that the peer minted. The link is kConnecting; OnOpen or OnClosed follows. A host name in the
  // ticket's address is looked up here, which may wait.
  virtual absl::StatusOr<Link*> Connect(const SessionTicket& ticket) = 0;
  // Mints a session that `peer_name` may connect with once, soon. ResourceExhausted over the caps.
  virtual absl::StatusOr<SessionTicket> AllowSession(const std::string& peer_name, const SessionTerms& terms) = 0;
  virtual std::string data_address() const = 0;  // host:port for tickets
  virtual HostCounters counters() const = 0;
};

// All times and caps of a host in one place.
struct LinkHostOptions {
  std::string name{};            // of this process, in its peers' messages
  uint64_t incarnation = 1;      // RandomNumber() in a real process
  int64_t tick_ms = 20;          // longest time without progress
  int64_t heartbeat_ms = 50;     // sent when nothing else was for so long
  int64_t peer_silence_ms = 500;
  int64_t handshake_timeout_ms = 3000;
  int64_t ticket_lifetime_ms = 30000;
  uint32_t links_max = 512;      // open and connecting, both directions
  uint32_t strangers_max = 64;   // connections that have not shown a session yet
};

}  // namespace atoll::net
