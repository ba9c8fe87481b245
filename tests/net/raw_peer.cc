#include "tests/net/raw_peer.h"

#include <array>

namespace atoll::net {

void RawPeer::SendHello(const SessionTicket& ticket) {
  std::array<std::byte, kTermsBytes> terms;
  EncodeTerms(ticket.terms, terms);
  FrameHeader hello;
  hello.type = FrameType::kHello;
  hello.incarnation = 77;
  hello.granted = ticket.terms.window;
  SendFrame(hello, terms, ticket);
}

void RawPeer::SendFrame(FrameHeader header, std::span<const std::byte> payload, const SessionTicket& ticket) {
  header.session = ticket.session;
  header.payload_bytes = static_cast<uint32_t>(payload.size());
  if (header.sequence == 0) header.sequence = next_sequence++;
  std::array<std::byte, kHeaderBytes> bytes;
  EncodeHeader(header, ticket.mac_key, bytes);
  Send(bytes, payload);
}

}  // namespace atoll::net
