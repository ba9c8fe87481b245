#pragma once

// One dispatch on its way: which parts went to which link, which answers came, which rows failed. It sends
// nothing itself. Owned by the step thread; storage is reused from dispatch to dispatch.

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

enum class PartState : uint8_t { kUnsent, kSent, kEnded };

// One part of what goes to one expert node.
struct OpenPart {
  net::Link* link = nullptr;  // alive while the part is not ended
  int32_t node = 0;      // index in the placement
  uint16_t part = 0;     // of `parts` for this node
  uint16_t parts = 1;
  int32_t first_row = 0, row_count = 0;    // in row_ids
  int32_t first_pair = 0, pair_count = 0;  // in pairs and targets
  PartState state = PartState::kUnsent;
};

class OpenDispatch {
 public:
  // Starts anew; nothing is open in it.
  void Begin(const ExpertDispatch& dispatch, uint64_t epoch, int64_t now_ns);
  // Cuts what `node` gets into parts for `link`.
  absl::Status AddNode(int32_t node, net::Link* link, const net::FrameLimits& limits, std::span<const RoutedPair> pairs);

  bool Done() const { return parts_left_ == 0; }
  bool open() const { return open_; }
  const ExpertDispatch& dispatch() const { return dispatch_; }
  uint64_t epoch() const { return epoch_; }
  int64_t begin_ns() const { return begin_ns_; }
  std::vector<OpenPart>& parts() { return parts_; }

  net::FrameHeader HeaderOf(const OpenPart& part) const;
  // One piece per row, then the pairs. Valid until the next call.
  net::Payload PayloadOf(const OpenPart& part);

  // Copies the answer to its rows' slots. False where no part of this dispatch waits for it from that link.
  bool Accept(net::Link* link, const net::FrameHeader& header, const net::ResultBody& body);
  // Fails the rows of the part that `header` answers; false as above.
  bool Refuse(net::Link* link, const net::FrameHeader& header, const absl::Status& status);
  // Fails the rows of every part that is still open on `link`.
  void FailLink(net::Link* link, const absl::Status& status);
  void FailPart(OpenPart& part, const absl::Status& status);
  void FailRow(int32_t row, absl::Status status) { failed_.push_back({row, std::move(status)}); }

  std::span<const FailedRow> Take();

 private:
  OpenPart* Find(net::Link* link, const net::FrameHeader& header);
  void AddPairs(std::span<const RoutedPair> pairs, const net::PartRange& range);
  void End(OpenPart& part);

  ExpertDispatch dispatch_;
  uint64_t epoch_ = 0;
  int64_t begin_ns_ = 0;
  bool open_ = false;
  int32_t parts_left_ = 0;
  std::vector<OpenPart> parts_;
  std::vector<int32_t> row_ids_;      // rows of the dispatch, by part
  std::vector<net::Pair> pairs_;      // as they go over the wire
  std::vector<int32_t> targets_;      // row of dispatch_.results for each pair
  std::vector<FailedRow> failed_;
  std::vector<int32_t> rows_of_node_;  // scratch of AddNode
  std::vector<uint32_t> pairs_per_row_;
  std::vector<net::PartRange> ranges_;
  std::vector<std::span<const std::byte>> pieces_;
};

}  // namespace atoll::attention_node
