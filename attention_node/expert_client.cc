#include "attention_node/expert_client.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace atoll::attention_node {
namespace {

constexpr int64_t kNsPerMs = 1'000'000;
// How often the same rows are sent at most.
constexpr int32_t kTriesMax = 6;
// How often returned parts are looked at while they wait for a newer view or an overloaded node.
constexpr std::chrono::milliseconds kReturnedWait{2};

const char* RefuseText(net::RefuseReason reason) {
  switch (reason) {
    case net::RefuseReason::kUnknownEpoch: return "it does not know the placement's epoch";
    case net::RefuseReason::kNotOwned: return "it does not hold the expert";
    case net::RefuseReason::kOverloaded: return "its queue is full";
    case net::RefuseReason::kDraining: return "it is shutting down";
    case net::RefuseReason::kMalformed: return "it found the dispatch malformed";
    case net::RefuseReason::kInternal: return "it failed";
  }
  return "for an unknown reason";
}

// Whether another replica, or the same one later, may take the rows.
bool MayGoAgain(net::RefuseReason reason) {
  return reason != net::RefuseReason::kMalformed && reason != net::RefuseReason::kInternal;
}

}  // namespace

ExpertClient::ExpertClient(const ExpertClientOptions& options, const Clock& clock)
    : options_(options), clock_(clock), peers_(options.view_wait_ms, options.routing, clock) {}

void ExpertClient::SetHost(net::LinkHost* host) {
  host_ = host;
  peers_.SetHost(host);
}

// epoch_ready first: it grows only where nothing older is posted afterwards.
ExchangeReport ExpertClient::Report() const {
  ExchangeReport report;
  report.epoch_ready = peers_.epoch_ready();
  report.epoch_oldest_in_flight = report.epoch_ready;
  for (const std::atomic<uint64_t>& epoch : epochs_in_flight_) {
    if (const uint64_t open = epoch.load(); open != 0) report.epoch_oldest_in_flight = std::min(report.epoch_oldest_in_flight, open);
  }
  report.parts_sent_again = parts_sent_again_;
  report.lost_peers = peers_.Lost();
  return report;
}

void ExpertClient::Post(const ExpertDispatch& dispatch) {
  peers_.Refresh();
  OpenDispatch& open = open_[dispatch.micro_batch];
  ATOLL_CHECK(!open.open(), absl::StrCat("micro-batch ", dispatch.micro_batch, " has an open dispatch"));
  RoutingTable& table = *peers_.active().table;
  open.Begin(dispatch, clock_.NowNs());
  epochs_in_flight_[dispatch.micro_batch] = table.epoch();
  if (!table.HasExperts(dispatch.layer)) {
    for (int32_t row = 0; row < dispatch.rows.rows; ++row) {
      open.FailRow(row, absl::UnavailableError("no expert node is known yet: the router has announced no placement whose nodes answer"));
    }
    return;
  }
  selector_.Begin(table, dispatch.layer, dispatch.experts, peers_.active().usable);
  RouteRows(dispatch.experts, dispatch.experts_per_row, selector_, routes_);
  for (const UnroutedRow& row : routes_.unrouted) open.FailRow(row.row, peers_.WhyUnrouted({dispatch.layer, row.expert}));
  AddRoutes(open, {.epoch = table.epoch()});
  SendParts(open);
}

// Returns the number of parts that `routes_` became.
int32_t ExpertClient::AddRoutes(OpenDispatch& open, PartSending sending) {
  int32_t parts = 0;
  for (size_t node = 0; node < routes_.by_node.size(); ++node) {
    const std::vector<RoutedPair>& pairs = routes_.by_node[node];
    if (pairs.empty()) continue;
    sending.link = peers_.active().links[node];
    const absl::StatusOr<int32_t> added = open.AddParts(sending, sending.link->terms().limits, pairs);
    if (added.ok()) parts += *added;
    else for (const RoutedPair& pair : pairs) open.FailRow(pair.row, added.status());
  }
  return parts;
}

bool ExpertClient::Done(int32_t micro_batch) const { return open_[micro_batch].Done(); }

std::span<const FailedRow> ExpertClient::Take(int32_t micro_batch) {
  epochs_in_flight_[micro_batch] = 0;
  return open_[micro_batch].Take();
}

void ExpertClient::Wait(std::chrono::nanoseconds timeout) {
  peers_.Refresh();
  for (OpenDispatch& open : open_) FailIfLate(open);
  host_->Poll(AnyReturned() ? std::min<std::chrono::nanoseconds>(timeout, kReturnedWait) : timeout);
  peers_.Refresh();
  for (OpenDispatch& open : open_) {
    SendAgain(open);
    SendParts(open);
  }
}

bool ExpertClient::AnyReturned() const {
  return std::any_of(open_.begin(), open_.end(), [](const OpenDispatch& open) {
    return open.open() && std::any_of(open.parts().begin(), open.parts().end(),
                                      [](const OpenPart& part) { return part.state == PartState::kReturned; });
  });
}

// Parts that are added meanwhile have not returned.
void ExpertClient::SendAgain(OpenDispatch& open) {
  if (!open.open() || open.Done()) return;
  const size_t parts = open.parts().size();
  for (size_t i = 0; i < parts; ++i) {
    if (open.parts()[i].state != PartState::kReturned) continue;
    const OpenPart part = open.parts()[i];  // the vector grows
    if (clock_.NowNs() >= part.returned.not_before_ns && RouteAgain(open, part)) open.End(open.parts()[i]);
  }
}

// False while the rows are to wait for a newer view.
bool ExpertClient::RouteAgain(OpenDispatch& open, const OpenPart& part) {
  const int32_t layer = open.dispatch().layer;
  const RoutingTable& table = *peers_.active().table;
  open.PairsOf(part, returned_);
  routes_.Clear(table.nodes());
  for (const RoutedPair& pair : returned_) {
    const int32_t node = part.sending.tries < kTriesMax ? NodeAgain(part, layer, pair.expert) : -1;
    if (node >= 0) routes_.by_node[node].push_back(pair);
    else routes_.unrouted.push_back({pair.row, pair.expert});
  }
  if (!routes_.unrouted.empty() && part.sending.tries < kTriesMax && clock_.NowNs() < part.returned.give_up_ns) return false;
  for (const UnroutedRow& row : routes_.unrouted) open.FailRow(row.row, part.returned.status);
  parts_sent_again_ += AddRoutes(open, {.epoch = table.epoch(), .attempt = open.NextAttempt(), .tries = part.sending.tries + 1});
  return true;
}

// The usable replica with least to do of what `routes_` has, or -1. Who returned the part is asked again only under a newer
// view, or after its overload where it is the only one.
int32_t ExpertClient::NodeAgain(const OpenPart& part, int32_t layer, int32_t expert) const {
  const PeerLinks::Active& active = peers_.active();
  if (!active.table->HasExperts(layer)) return -1;
  int32_t best = -1, same = -1;
  for (const int32_t node : active.table->Layer(layer).NodesOf(expert)) {
    if (!active.usable[node]) continue;
    if (active.links[node] == part.sending.link && active.table->epoch() == part.sending.epoch) same = node;
    else if (best < 0 || routes_.by_node[node].size() < routes_.by_node[best].size()) best = node;
  }
  return best < 0 && part.returned.same_link ? same : best;
}

// Parts that find no credit stay unsent until Poll brought some. Those of one link go in order.
void ExpertClient::SendParts(OpenDispatch& open) {
  if (!open.open() || open.Done()) return;
  net::Link* full = nullptr;
  for (OpenPart& part : open.parts()) {
    net::Link* link = part.sending.link;
    if (part.state != PartState::kUnsent || link == full) continue;
    net::FrameHeader header = open.HeaderOf(part);
    header.deadline_us = static_cast<uint32_t>(options_.dispatch_timeout_ms * 1000);
    const absl::Status sent = link->Send(header, open.PayloadOf(part));
    if (sent.ok()) MarkSent(open, part);
    else if (absl::IsResourceExhausted(sent)) full = link;
    else if (!absl::IsUnavailable(sent)) open.FailPart(part, sent);
    // Else its end is on its way to OnClosed, which returns the part.
  }
}

void ExpertClient::MarkSent(const OpenDispatch& open, OpenPart& part) {
  part.state = PartState::kSent;
  if (open.dispatch().trace == nullptr) return;
  NodeTrace& node = TraceOf(*open.dispatch().trace, part.sending.link->peer().name);
  if (node.sent_ns == 0) node.sent_ns = clock_.NowNs();
  node.rows += part.row_count;
  node.pairs += part.pair_count;
}

void ExpertClient::FailIfLate(OpenDispatch& open) {
  if (!open.open() || open.Done() || clock_.NowNs() - open.begin_ns() < options_.dispatch_timeout_ms * kNsPerMs) return;
  PartSending cancelled;  // one cancel names all parts of a sending, which follow each other
  for (OpenPart& part : open.parts()) {
    if (part.state == PartState::kEnded) continue;
    if (part.state == PartState::kSent && !(part.sending == cancelled)) Cancel(open, part);
    cancelled = part.sending;
    open.FailPart(part, part.state == PartState::kReturned
                            ? part.returned.status
                            : absl::UnavailableError(absl::StrCat("expert node ", part.sending.link->peer().name, " did not answer within ",
                                                                  options_.dispatch_timeout_ms, " ms")));
  }
}

// What was not begun is not worth beginning. Where the link has no credit, the dispatch's deadline says the same.
void ExpertClient::Cancel(OpenDispatch& open, const OpenPart& part) {
  net::FrameHeader header = open.HeaderOf(part);
  header.type = net::FrameType::kCancel;
  header.dtype = {};
  header.row_count = header.pair_count = 0;
  (void)part.sending.link->Send(header, {});
}

void ExpertClient::OnFrame(net::Link& link, const net::FrameHeader& header, std::span<const std::byte> payload) {
  if (header.type == net::FrameType::kRefuse) OnRefused(link, header);
  if (header.type == net::FrameType::kResult) OnResult(link, header, payload);
}

void ExpertClient::OnRefused(net::Link& link, const net::FrameHeader& header) {
  const auto reason = static_cast<net::RefuseReason>(header.code);
  const absl::Status status =
      absl::UnavailableError(absl::StrCat("expert node ", link.peer().name, " refused a dispatch: ", RefuseText(reason)));
  for (OpenDispatch& open : open_) {
    OpenPart* part = open.Find(&link, header);
    if (part == nullptr) continue;
    if (!MayGoAgain(reason)) return open.FailPart(*part, status);
    const int64_t now_ns = clock_.NowNs();
    PartReturn why{.status = status, .give_up_ns = now_ns + options_.refused_wait_ms * kNsPerMs};
    why.same_link = reason == net::RefuseReason::kOverloaded;
    if (why.same_link) why.not_before_ns = now_ns + (options_.overload_backoff_ms * kNsPerMs << (part->sending.tries - 1));
    return open.ReturnPart(*part, why);
  }
}

void ExpertClient::OnResult(net::Link& link, const net::FrameHeader& header, std::span<const std::byte> payload) {
  absl::Status failure;
  absl::StatusOr<net::ResultBody> body = absl::InternalError("no result");
  if (header.code != 0) {
    failure = absl::Status(static_cast<absl::StatusCode>(header.code), absl::StrCat("expert node ", link.peer().name, " failed a dispatch"));
  } else {
    body = net::ResultBody::Parse(header, payload, link.terms().limits);
    if (!body.ok()) failure = absl::InternalError(absl::StrCat("expert node ", link.peer().name, ": ", body.status().message()));
  }
  for (OpenDispatch& open : open_) {
    OpenPart* part = open.Find(&link, header);
    if (part == nullptr) continue;
    if (open.dispatch().trace != nullptr) TraceOf(*open.dispatch().trace, link.peer().name).arrived_ns = clock_.NowNs();
    if (failure.ok()) open.Accept(*part, *body);
    else open.FailPart(*part, failure);
    return;
  }
}

void ExpertClient::OnClosed(net::Link& link, const absl::Status& reason) {
  const absl::Status lost = peers_.Closed(link, reason);
  for (OpenDispatch& open : open_) {
    if (open.open()) open.ReturnLink(&link, {.status = lost});
  }
}

}  // namespace atoll::attention_node
