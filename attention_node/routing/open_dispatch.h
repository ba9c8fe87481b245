#pragma once

// One dispatch on its way: which parts went to which link, which answers came, which came back to be sent again, which rows
// failed. It sends nothing itself. Owned by the step thread; storage is reused from dispatch to dispatch.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "attention_node/expert_exchange.h"
#include "attention_node/routing/route_rows.h"
#include "net/body.h"
#include "net/link.h"
#include "net/wire_format.h"

namespace atoll::attention_node {

enum class PartState : uint8_t { kUnsent, kSent, kReturned, kEnded };

// What sends a part to one expert node.
struct PartSending {
  net::Link* link = nullptr;
  uint64_t epoch = 0;    // of the view that chose the node
  uint32_t attempt = 0;  // sendings of this dispatch before this one: with the link it tells one from another
  int32_t tries = 1;     // how often these rows were sent, this time included
  friend bool operator==(const PartSending&, const PartSending&) = default;
};

// Why a part's rows are to be sent again, and when.
struct PartReturn {
  absl::Status status;        // of its rows, where nobody takes them
  int64_t not_before_ns = 0;
  int64_t give_up_ns = 0;     // until then a newer view may bring a replica
  bool same_link = false;     // may serve them later
};

// One part of what goes to one expert node.
struct OpenPart {
  PartSending sending;   // its link is alive while the part is unsent or sent, null after the link's end
  uint16_t part = 0;     // of `parts` for this node
  uint16_t parts = 1;
  int32_t first_row = 0, row_count = 0;    // in row_ids
  int32_t first_pair = 0, pair_count = 0;  // in pairs and targets
  PartState state = PartState::kUnsent;
  PartReturn returned;   // in that state
};

class OpenDispatch {
 public:
  // Starts anew; nothing is open in it.
  void Begin(const ExpertDispatch& dispatch, int64_t now_ns);
  // Cuts `pairs`, which are by row, into parts that go as `sending` says. Returns how many those are.
  absl::StatusOr<int32_t> AddParts(const PartSending& sending, const net::FrameLimits& limits, std::span<const RoutedPair> pairs);

  bool Done() const { return parts_left_ == 0; }
  bool open() const { return open_; }
  const ExpertDispatch& dispatch() const { return dispatch_; }
  int64_t begin_ns() const { return begin_ns_; }
  std::vector<OpenPart>& parts() { return parts_; }
  const std::vector<OpenPart>& parts() const { return parts_; }

  net::FrameHeader HeaderOf(const OpenPart& part) const;
  // One piece per row, then the pairs. Valid until the next call.
  net::Payload PayloadOf(const OpenPart& part);

  // The sent part that `header`, come over `link`, answers; null where it answers none that waits.
  OpenPart* Find(net::Link* link, const net::FrameHeader& header);
  // Copies the answer to its rows' slots; one of other sizes fails them.
  void Accept(OpenPart& part, const net::ResultBody& body);
  // The link is gone: every part that it was to answer has returned.
  void ReturnLink(net::Link* link, const PartReturn& why);
  void ReturnPart(OpenPart& part, const PartReturn& why);
  void FailPart(OpenPart& part, const absl::Status& status);
  // The pairs of a part, by row, then slot.
  void PairsOf(const OpenPart& part, std::vector<RoutedPair>& pairs) const;
  // The part's rows went elsewhere.
  void End(OpenPart& part);
  // A number for the next sending.
  uint32_t NextAttempt() { return ++attempts_; }
  void FailRow(int32_t row, absl::Status status) { failed_.push_back({row, std::move(status)}); }

  std::span<const FailedRow> Take();

 private:
  void AddPairs(std::span<const RoutedPair> pairs, const net::PartRange& range);

  ExpertDispatch dispatch_;
  uint32_t attempts_ = 0;
  int64_t begin_ns_ = 0;
  bool open_ = false;
  int32_t parts_left_ = 0;
  std::vector<OpenPart> parts_;
  std::vector<int32_t> row_ids_;      // rows of the dispatch, by part
  std::vector<net::Pair> pairs_;      // as they go over the wire
  std::vector<int32_t> targets_;      // row of dispatch_.results for each pair
  std::vector<FailedRow> failed_;
  std::vector<int32_t> rows_of_node_;  // scratch of AddParts
  std::vector<uint32_t> pairs_per_row_;
  std::vector<net::PartRange> ranges_;
  std::vector<std::span<const std::byte>> pieces_;
};

}  // namespace atoll::attention_node
