#include "net/session/session_host.h"

#include <algorithm>

#include "base/check.h"

namespace atoll::net {
namespace {

constexpr int64_t kNsPerMs = 1'000'000;
constexpr int kProgressMax = 256;  // per round, so that a flood cannot keep Poll from its timers
constexpr int kStepsPerBeat = 16;  // progress calls or deliveries between two looks at whether a heartbeat is due

}  // namespace

SessionHost::SessionHost(const LinkHostOptions& options, LinkHandler& handler, const Clock& clock, std::unique_ptr<Transport> transport)
    : options_(options), handler_(handler), clock_(clock), transport_(std::move(transport)), tickets_(options.links_max) {
  transport_->Attach(*this);
}

SessionHost::~SessionHost() {
  const std::lock_guard lock(mutex_);
  ++handler_depth_;  // from here on nothing is delivered
  for (size_t i = 0; i < links_.size(); ++i) CloseLink(*links_[i], absl::OkStatus());
}

size_t SessionHost::Poll(std::chrono::nanoseconds timeout) {
  std::unique_lock lock(mutex_);
  ATOLL_CHECK(!polling_.load() && handler_depth_ == 0, "one thread polls a host, and never inside a handler");
  polling_ = true;
  deliveries_ = 0;
  const int64_t start_ns = NowNs();
  const int64_t until_ns = timeout.count() > INT64_MAX - start_ns ? INT64_MAX : start_ns + timeout.count();
  while (true) {
    inline_ = true;
    DeliverEvents();
    ProgressTransport();
    DeliverEvents();
    inline_ = false;
    DeliverSendable();
    const int64_t now_ns = NowNs();
    RunTimers(now_ns);
    DeliverEvents();
    if (woken_.exchange(false) || deliveries_ > 0 || now_ns >= until_ns) break;
    if (!transport_->Arm()) continue;
    lock.unlock();
    transport_->Wait(std::chrono::nanoseconds(std::min(until_ns, next_timers_ns_) - now_ns));
    lock.lock();
  }
  polling_ = false;
  return deliveries_;
}

void SessionHost::Wake() {
  woken_ = true;
  transport_->Wake();
}

void SessionHost::Tick() {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return;
  // The polling thread waits and will see to all this when it gets a processor, which on a starved machine can take longer
  // than a peer's patience: the peers hear from us meanwhile. Nothing is taken in here, so its wait stays armed.
  if (polling_.load()) return SendDueHeartbeats(NowNs());
  ProgressTransport();
  RunTimers(NowNs());
}

absl::StatusOr<Link*> SessionHost::Connect(const SessionTicket& ticket) {
  // A name server that does not answer must hold up neither frames nor heartbeats of the other links.
  ATOLL_ASSIGN_OR_RETURN(const std::string address, transport_->Resolve(ticket.data_address));
  const std::lock_guard lock(mutex_);
  ATOLL_RETURN_IF_ERROR(CheckTerms(ticket.terms));
  if (ticket.session == 0) return absl::InvalidArgumentError("session ticket: the session is 0, expected a minted one");
  if (links_.size() >= options_.links_max) {
    return absl::ResourceExhaustedError(absl::StrCat("links: ", links_.size(), " are open, expected below ", options_.links_max));
  }
  ATOLL_ASSIGN_OR_RETURN(Channel * channel, transport_->Connect(address));
  SessionLink& link = AddLink(*channel, ticket, {ticket.listener_name, ticket.incarnation}, false);
  std::array<std::byte, kTermsBytes> terms;
  EncodeTerms(ticket.terms, terms);
  if (absl::Status sent = link.SendControl(FrameType::kHello, 0, terms); !sent.ok()) EndLink(link, sent);
  return &link;
}

absl::StatusOr<SessionTicket> SessionHost::AllowSession(const std::string& peer_name, const SessionTerms& terms) {
  ATOLL_RETURN_IF_ERROR(CheckTerms(terms));
  SessionTicket ticket{transport_->address(), options_.name, RandomNumber(), options_.incarnation, RandomKey(), terms};
  const std::lock_guard lock(mutex_);
  ATOLL_RETURN_IF_ERROR(tickets_.Add({peer_name, ticket, NowNs() + options_.ticket_lifetime_ms * kNsPerMs}));
  return ticket;
}

HostCounters SessionHost::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

SessionLink& SessionHost::AddLink(Channel& channel, const SessionTicket& ticket, const LinkPeer& peer, bool is_listener) {
  SessionLinkParams params{
      .ticket = ticket, .peer = peer, .id = next_link_id_++, .incarnation = options_.incarnation, .is_listener = is_listener,
      .times = {options_.tick_ms * kNsPerMs, options_.heartbeat_ms * kNsPerMs, options_.peer_silence_ms * kNsPerMs},
      .now_ns = NowNs()};
  return *links_.emplace_back(std::make_unique<SessionLink>(*this, channel, params));
}

void SessionHost::CloseLink(SessionLink& link, absl::Status reason) {
  if (link.state_locked() == LinkState::kClosed) return;
  // Without a send slot the peer sees the connection end instead.
  const bool said = link.state_locked() == LinkState::kOpen &&
                    link.SendControl(FrameType::kGoodbye, static_cast<uint16_t>(reason.code()), {}).ok();
  std::erase_if(events_, [&](const Event& event) { return event.link == &link && event.kind == Event::Kind::kFrame; });
  EndLink(link, std::move(reason), said ? ReleaseMode::kLinger : ReleaseMode::kNow);
}

void SessionHost::EndLink(SessionLink& link, absl::Status reason, ReleaseMode mode) {
  if (link.state_locked() == LinkState::kClosed) return;
  transport_->Release(link.Detach(), mode);
  events_.push_back({Event::Kind::kClosed, &link, {}, {}, std::move(reason)});
  transport_->Wake();  // when another thread closed it, Poll has something to tell
}

void SessionHost::NoteBlocked(SessionLink& link) {
  link.wants_sendable = true;
  blocked_ = true;
}

void SessionHost::DeliverFrame(SessionLink& link, const FrameHeader& header, std::span<const std::byte> payload) {
  if (DeliversInline()) return HandleFrame(link, header, payload);
  events_.push_back({Event::Kind::kFrame, &link, header, {payload.begin(), payload.end()}, {}});
}

void SessionHost::HandleFrame(SessionLink& link, const FrameHeader& header, std::span<const std::byte> payload) {
  link.OnDelivered();
  ++deliveries_;
  ++handler_depth_;
  handler_.OnFrame(link, header, payload);
  --handler_depth_;
  if (link.state_locked() == LinkState::kOpen) link.AdvertiseIfOverdue();
}

void SessionHost::HandleEvent(Event& event) {
  SessionLink& link = *event.link;
  if (event.kind == Event::Kind::kFrame) return HandleFrame(link, event.header, event.payload);
  ++deliveries_;
  ++handler_depth_;
  if (event.kind == Event::Kind::kOpen) handler_.OnOpen(link);
  if (event.kind == Event::Kind::kClosed) handler_.OnClosed(link, event.reason);
  --handler_depth_;
  if (event.kind == Event::Kind::kClosed) std::erase_if(links_, [&](const auto& owned) { return owned.get() == &link; });
}

void SessionHost::DeliverEvents() {
  for (int i = 1; !events_.empty(); ++i) {
    Event event = std::move(events_.front());
    events_.pop_front();
    HandleEvent(event);
    if (i % kStepsPerBeat == 0) SendDueHeartbeats(NowNs());
  }
}

void SessionHost::DeliverSendable() {
  if (!blocked_) return;
  blocked_ = false;
  for (size_t i = 0; i < links_.size(); ++i) {  // a handler may connect meanwhile
    SessionLink& link = *links_[i];
    if (!link.wants_sendable || link.state_locked() == LinkState::kClosed) continue;
    if (!link.CanSendLocked()) {
      blocked_ = true;
      continue;
    }
    link.wants_sendable = false;
    ++deliveries_;
    ++handler_depth_;
    handler_.OnSendable(link);
    --handler_depth_;
  }
}

void SessionHost::ProgressTransport() {
  for (int i = 0; i < kProgressMax && transport_->Progress(); ++i) {
    if (i % kStepsPerBeat == kStepsPerBeat - 1) SendDueHeartbeats(NowNs());
  }
}

// Taking in a burst of megabytes under the lock can last longer, on a busy host, than a peer's patience: 430 ms were seen.
void SessionHost::SendDueHeartbeats(int64_t now_ns) {
  for (const auto& link : links_) {
    if (link->state_locked() == LinkState::kOpen) link->SendDueHeartbeat(now_ns);
  }
}

void SessionHost::RunTimers(int64_t now_ns) {
  if (now_ns < next_timers_ns_) return;
  next_timers_ns_ = now_ns + options_.tick_ms * kNsPerMs;
  tickets_.Expire(now_ns);
  ExpireHandshakes(now_ns);
  for (size_t i = 0; i < links_.size(); ++i) {
    SessionLink& link = *links_[i];
    if (link.state_locked() == LinkState::kOpen && link.Tick(now_ns)) {
      EndLink(link, absl::UnavailableError(absl::StrCat("peer ", link.peer().name, " has been silent for ", options_.peer_silence_ms, " ms")));
    }
  }
}

void SessionHost::ExpireHandshakes(int64_t now_ns) {
  const int64_t oldest_ns = now_ns - options_.handshake_timeout_ms * kNsPerMs;
  std::vector<Channel*> late;
  for (const auto& [channel, accepted_ns] : strangers_) {
    if (accepted_ns <= oldest_ns) late.push_back(channel);
  }
  for (Channel* channel : late) RefuseStranger(*channel);
  for (size_t i = 0; i < links_.size(); ++i) {
    SessionLink& link = *links_[i];
    if (link.state_locked() == LinkState::kConnecting && link.started_ns() <= oldest_ns) {
      EndLink(link, absl::UnavailableError(absl::StrCat("peer ", link.peer().name, " at ", link.ticket().data_address,
                                                        " did not answer the handshake within ", options_.handshake_timeout_ms, " ms")));
    }
  }
}

}  // namespace atoll::net
