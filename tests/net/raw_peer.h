#pragma once

// A peer that keeps to no protocol: it sends what bytes it likes over a Transport.

#include <memory>
#include <vector>

#include "net/session/channel.h"

namespace atoll::net {

class RawPeer final : public TransportEvents {
 public:
  explicit RawPeer(std::unique_ptr<Transport> transport) : transport_(std::move(transport)) { transport_->Attach(*this); }

  bool Connect(const std::string& address) {
    auto channel = transport_->Connect(address);
    channel_ = channel.ok() ? *channel : nullptr;
    return channel.ok();
  }
  void Send(std::span<const std::byte, kHeaderBytes> header, std::span<const std::byte> payload) {
    (void)channel_->Send(header, Payload(&payload, 1), nullptr);
  }
  void Progress() {
    while (transport_->Progress()) {}
  }

  // A hello as the ticket demands, and any later frame with a right MAC.
  void SendHello(const SessionTicket& ticket);
  void SendFrame(FrameHeader header, std::span<const std::byte> payload, const SessionTicket& ticket);

  bool OnAccepted(Channel&) override { return false; }
  void OnMessage(Channel&, std::span<const std::byte>, std::span<const std::byte>) override { ++messages; }
  void OnUnattributed() override {}
  void OnLost(Channel&, const absl::Status&) override { ++losses; }

  int messages = 0;
  int losses = 0;
  uint64_t next_sequence = 1;

 private:
  std::unique_ptr<Transport> transport_;
  Channel* channel_ = nullptr;
};

}  // namespace atoll::net
