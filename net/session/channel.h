#pragma once

// What a transport gives the session layer: connections that carry whole messages in order, not yet trusted. All calls
// but Resolve, Wait and Wake are serialized by the caller (SessionHost's lock); events come from inside Progress only.

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/status.h"
#include "net/link.h"
#include "net/wire_format.h"

namespace atoll::net {

class SessionLink;

// Owned by its transport; valid until released.
class Channel {
 public:
  virtual ~Channel() = default;
  virtual bool CanSend() const = 0;
  // Without a `keeper` it copied, or has sent, everything when it returns; otherwise the payload stays as it is until the
  // channel drops the keeper. ResourceExhausted without a free slot.
  virtual absl::Status Send(std::span<const std::byte, kHeaderBytes> header, Payload payload, std::shared_ptr<const void> keeper) = 0;

  SessionLink* link = nullptr;  // of the session layer: who uses this channel; none before the handshake
};

class TransportEvents {
 public:
  virtual ~TransportEvents() = default;
  // A peer connected to the listener. False: refuse it; the channel is then released by the transport.
  virtual bool OnAccepted(Channel& channel) = 0;
  // Both spans are valid during the call only.
  virtual void OnMessage(Channel& channel, std::span<const std::byte> header, std::span<const std::byte> payload) = 0;
  // A message that belongs to no channel.
  virtual void OnUnattributed() = 0;
  // The connection is dead. The channel stays until it is released.
  virtual void OnLost(Channel& channel, const absl::Status& reason) = 0;
};

// How a channel ends. kLinger: what was sent, a goodbye last, still arrives; it ends when the peer hangs up or after half
// a second. kNow: nothing is owed to the peer.
enum class ReleaseMode { kLinger, kNow };

class Transport {
 public:
  virtual ~Transport() = default;
  virtual void Attach(TransportEvents& events) = 0;  // once, before anything else
  // The address that Connect takes, a host name in it looked up: may wait. Any thread, not serialized.
  virtual absl::StatusOr<std::string> Resolve(const std::string& address) const { return address; }
  virtual absl::StatusOr<Channel*> Connect(const std::string& address) = 0;
  // No event names this channel any more. May be called inside an event.
  virtual void Release(Channel& channel, ReleaseMode mode) = 0;
  // Does what there is to do without waiting; true when something happened. Not to be called inside an event.
  virtual bool Progress() = 0;
  // Prepares Wait. False: something may have happened since the last Progress.
  virtual bool Arm() = 0;
  // Waits, not locked, until something happens, Wake is called, or `timeout` passed.
  virtual void Wait(std::chrono::nanoseconds timeout) = 0;
  virtual void Wake() = 0;  // any thread
  virtual std::string address() const = 0;
};

}  // namespace atoll::net
