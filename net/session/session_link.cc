#include "net/session/session_link.h"

#include <array>

#include "net/session/session_host.h"

namespace atoll::net {
namespace {

constexpr int kStrikesMax = 3;  // malformed frames before the session ends

size_t TotalBytes(Payload payload) {
  size_t bytes = 0;
  for (const auto& piece : payload) bytes += piece.size();
  return bytes;
}

bool NeedsCredit(FrameType type) {
  return type != FrameType::kHeartbeat && type != FrameType::kHello && type != FrameType::kWelcome && type != FrameType::kGoodbye;
}

}  // namespace

SessionLink::SessionLink(SessionHost& host, Channel& channel, const SessionLinkParams& params)
    : host_(host),
      channel_(&channel),
      ticket_(params.ticket),
      peer_(params.peer),
      id_(params.id),
      incarnation_(params.incarnation),
      is_listener_(params.is_listener),
      started_ns_(params.now_ns),
      send_credit_(params.ticket.terms.window),
      receive_credit_(params.ticket.terms.window),
      watch_(params.times, params.now_ns) {
  channel.link = this;
}

absl::Status SessionLink::SendKept(const FrameHeader& header, Payload payload, std::shared_ptr<const void> keeper) {
  const std::lock_guard lock(host_.mutex());
  absl::Status status = SendLocked(header, payload, std::move(keeper));
  if (absl::IsResourceExhausted(status)) {
    ++counters_.refused_sends;
    host_.NoteBlocked(*this);
  }
  return status;
}

absl::Status SessionLink::SendLocked(const FrameHeader& header, Payload payload, std::shared_ptr<const void> keeper) {
  if (state_ != LinkState::kOpen) return absl::UnavailableError(absl::StrCat("link to ", peer_.name, " is not open"));
  if (!CanSendLocked()) return absl::ResourceExhaustedError(absl::StrCat("link to ", peer_.name, ": no credit or send slot"));
  if (!NeedsCredit(header.type)) return absl::InvalidArgumentError("frames of this type are sent by the link alone");
  FrameHeader own = header;
  return Put(own, payload, std::move(keeper));
}

absl::Status SessionLink::Put(FrameHeader& header, Payload payload, std::shared_ptr<const void> keeper) {
  const size_t payload_bytes = TotalBytes(payload);
  header.session = ticket_.session;
  header.incarnation = incarnation_;
  header.flags = is_listener_ ? kFlagFromListener : 0;
  header.payload_bytes = static_cast<uint32_t>(std::min<size_t>(payload_bytes, UINT32_MAX));
  ATOLL_RETURN_IF_ERROR(CheckHeader(header, payload_bytes, ticket_.terms.limits));
  header.sequence = send_credit_.Take();
  header.granted = receive_credit_.Advertise();
  std::array<std::byte, kHeaderBytes> bytes;
  EncodeHeader(header, ticket_.mac_key, bytes);
  ATOLL_RETURN_IF_ERROR(channel_->Send(bytes, payload, std::move(keeper)));
  watch_.OnSent(host_.NowNs());
  ++counters_.frames_sent;
  counters_.bytes_sent += kHeaderBytes + payload_bytes;
  return absl::OkStatus();
}

absl::Status SessionLink::SendControl(FrameType type, uint16_t code, std::span<const std::byte> payload) {
  if (!channel_->CanSend()) return absl::ResourceExhaustedError(absl::StrCat("link to ", peer_.name, ": no send slot"));
  FrameHeader header;
  header.type = type;
  header.code = code;
  return Put(header, Payload(&payload, 1), nullptr);
}

bool SessionLink::CanSendLocked() const { return state_ == LinkState::kOpen && send_credit_.HasCredit() && channel_->CanSend(); }

bool SessionLink::CanSend() {
  const std::lock_guard lock(host_.mutex());
  const bool can = CanSendLocked();
  if (!can) host_.NoteBlocked(*this);
  return can;
}

void SessionLink::Close(absl::Status reason) {
  const std::lock_guard lock(host_.mutex());
  host_.CloseLink(*this, std::move(reason));
}

LinkState SessionLink::state() const {
  const std::lock_guard lock(host_.mutex());
  return state_;
}

LinkPeer SessionLink::peer() const {
  const std::lock_guard lock(host_.mutex());
  return peer_;
}

LinkCounters SessionLink::counters() const {
  const std::lock_guard lock(host_.mutex());
  return counters_;
}

Channel& SessionLink::Detach() {
  state_ = LinkState::kClosed;
  Channel& channel = *channel_;
  channel.link = nullptr;
  channel_ = nullptr;
  return channel;
}

SessionLink::Received SessionLink::Drop(uint64_t& counter, absl::Status why) {
  ++counter;
  last_error_ = std::move(why);
  return &counter == &counters_.dropped_malformed && ++strikes_ >= kStrikesMax ? Received::kCloseNow : Received::kDropped;
}

absl::Status SessionLink::CheckPeer(const FrameHeader& header) const {
  if (header.session != ticket_.session) return absl::InvalidArgumentError("frame header: the session is another one");
  const bool from_listener = (header.flags & kFlagFromListener) != 0;
  if (from_listener == is_listener_) return absl::InvalidArgumentError("frame header: a frame of this side came back");
  const bool handshake = header.type == FrameType::kHello || header.type == FrameType::kWelcome;
  if (handshake != (state_ == LinkState::kConnecting)) return absl::InvalidArgumentError("frame header: handshake out of order");
  return absl::OkStatus();
}

SessionLink::Received SessionLink::OnMessage(std::span<const std::byte> header_bytes, std::span<const std::byte> payload,
                                             FrameHeader& header) {
  auto decoded = DecodeHeader(header_bytes, payload.size(), ticket_.terms.limits);
  if (!decoded.ok()) return Drop(counters_.dropped_malformed, std::move(decoded).status());
  header = *decoded;
  if (!MacMatches(header_bytes, ticket_.mac_key)) {
    Drop(counters_.dropped_malformed, absl::InvalidArgumentError("frame header: the MAC is not the session's"));
    return Received::kCloseNow;
  }
  if (absl::Status status = CheckPeer(header); !status.ok()) return Drop(counters_.dropped_malformed, std::move(status));
  if (header.incarnation != peer_.incarnation) return Drop(counters_.dropped_stale, absl::InvalidArgumentError("frame of another incarnation"));
  switch (receive_credit_.OnFrame(header.sequence, NeedsCredit(header.type))) {
    case ReceiveCredit::Verdict::kRepeated: return Drop(counters_.dropped_repeated, absl::InvalidArgumentError("repeated frame"));
    case ReceiveCredit::Verdict::kOverrun: return Drop(counters_.dropped_malformed, absl::InvalidArgumentError("frame beyond the granted window"));
    case ReceiveCredit::Verdict::kAccept: break;
  }
  watch_.OnReceived();
  send_credit_.OnGranted(header.granted);
  ++counters_.frames_received;
  counters_.bytes_received += kHeaderBytes + payload.size();
  switch (header.type) {
    case FrameType::kHeartbeat: return Received::kHeartbeat;
    case FrameType::kGoodbye: return Received::kGoodbye;
    case FrameType::kWelcome:
    case FrameType::kHello: return Received::kHandshake;
    default: return Received::kData;
  }
}

bool SessionLink::Tick(int64_t now_ns) {
  watch_.Tick(now_ns);
  if (watch_.IsPeerSilent()) return true;
  SendDueHeartbeat(now_ns);
  AdvertiseIfOverdue();
  return false;
}

// Without a slot the next tick tries again; a failing channel reports itself.
void SessionLink::SendDueHeartbeat(int64_t now_ns) {
  if (watch_.IsHeartbeatDue(now_ns)) (void)SendControl(FrameType::kHeartbeat, 0, {});
}

void SessionLink::AdvertiseIfOverdue() {
  if (receive_credit_.IsOverdue()) (void)SendControl(FrameType::kHeartbeat, 0, {});
}

}  // namespace atoll::net
