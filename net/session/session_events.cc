// What the transport tells a SessionHost: strangers and their handshake, frames of sessions, losses.

#include "net/session/session_host.h"

namespace atoll::net {
namespace {

// Nothing but a handshake fits: what a stranger may send.
FrameLimits StrangerLimits() {
  return {.hidden_size = 1, .layers = 1, .experts = 1, .rows_max = 1, .pairs_max = 1, .part_bytes = 1};
}

}  // namespace

bool SessionHost::OnAccepted(Channel& channel) {
  ++counters_.accepted;
  if (strangers_.size() >= options_.strangers_max || links_.size() >= options_.links_max) {
    ++counters_.refused_connections;
    return false;
  }
  strangers_.emplace(&channel, NowNs());
  return true;
}

void SessionHost::OnMessage(Channel& channel, std::span<const std::byte> header, std::span<const std::byte> payload) {
  if (channel.link != nullptr) return OnLinkMessage(*channel.link, header, payload);
  if (strangers_.contains(&channel)) return Handshake(channel, header, payload);
  ++counters_.unattributed_frames;
}

void SessionHost::OnUnattributed() { ++counters_.unattributed_frames; }

void SessionHost::OnLost(Channel& channel, const absl::Status& reason) {
  if (channel.link != nullptr) {
    const std::string name = channel.link->peer().name;
    return EndLink(*channel.link, absl::UnavailableError(absl::StrCat("connection to ", name, " was lost: ", reason.message())));
  }
  if (strangers_.contains(&channel)) RefuseStranger(channel);
}

void SessionHost::RefuseStranger(Channel& channel) {
  ++counters_.refused_handshakes;
  strangers_.erase(&channel);
  transport_->Release(channel, ReleaseMode::kNow);
}

void SessionHost::Handshake(Channel& channel, std::span<const std::byte> header, std::span<const std::byte> payload) {
  if (absl::Status accepted = AcceptHello(channel, header, payload); !accepted.ok()) return RefuseStranger(channel);
  strangers_.erase(&channel);
}

absl::Status SessionHost::AcceptHello(Channel& channel, std::span<const std::byte> header_bytes, std::span<const std::byte> payload) {
  ATOLL_ASSIGN_OR_RETURN(FrameHeader header, DecodeHeader(header_bytes, payload.size(), StrangerLimits()));
  if (header.type != FrameType::kHello) return absl::InvalidArgumentError("first message: no hello");
  const AllowedSession* allowed = tickets_.Find(header.session);
  if (allowed == nullptr) return absl::NotFoundError("first message: unknown, used or expired session");
  if (!MacMatches(header_bytes, allowed->ticket.mac_key)) return absl::PermissionDeniedError("first message: wrong MAC");
  ATOLL_ASSIGN_OR_RETURN(SessionTerms terms, DecodeTerms(payload));
  ATOLL_RETURN_IF_ERROR(MatchTerms(allowed->ticket.terms, terms));
  SessionLink& link = AddLink(channel, allowed->ticket, {allowed->peer_name, header.incarnation}, true);
  tickets_.Remove(header.session);
  const bool accepted = link.OnMessage(header_bytes, payload, header) == SessionLink::Received::kHandshake &&
                        link.SendControl(FrameType::kWelcome, 0, payload).ok();
  if (!accepted) {
    channel.link = nullptr;
    links_.pop_back();
    return absl::InvalidArgumentError("first message: refused");
  }
  link.Open();
  events_.push_back({Event::Kind::kOpen, &link, {}, {}, {}});
  return absl::OkStatus();
}

void SessionHost::OnLinkMessage(SessionLink& link, std::span<const std::byte> header_bytes, std::span<const std::byte> payload) {
  FrameHeader header;
  switch (link.OnMessage(header_bytes, payload, header)) {
    case SessionLink::Received::kData: return DeliverFrame(link, header, payload);
    case SessionLink::Received::kHandshake: return OnWelcome(link, payload);
    case SessionLink::Received::kGoodbye:
      return EndLink(link, absl::Status(static_cast<absl::StatusCode>(header.code), header.code == 0 ? "" : "the peer closed the link"));
    case SessionLink::Received::kCloseNow:
      return CloseLink(link, absl::InvalidArgumentError(absl::StrCat("peer ", link.peer().name, " sent nonsense: ", link.last_error().message())));
    case SessionLink::Received::kHeartbeat:
    case SessionLink::Received::kDropped: return;
  }
}

void SessionHost::OnWelcome(SessionLink& link, std::span<const std::byte> payload) {
  const auto terms = DecodeTerms(payload);
  const absl::Status matches = terms.ok() ? MatchTerms(link.ticket().terms, *terms) : terms.status();
  if (!matches.ok()) return CloseLink(link, matches);
  link.Open();
  events_.push_back({Event::Kind::kOpen, &link, {}, {}, {}});
}

}  // namespace atoll::net
