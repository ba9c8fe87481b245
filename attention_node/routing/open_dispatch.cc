#include "attention_node/routing/open_dispatch.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace atoll::attention_node {

void OpenDispatch::Begin(const ExpertDispatch& dispatch, int64_t now_ns) {
  dispatch_ = dispatch;
  attempts_ = 0;
  begin_ns_ = now_ns;
  open_ = true;
  parts_left_ = 0;
  parts_.clear(), row_ids_.clear(), pairs_.clear(), targets_.clear(), failed_.clear();
}

absl::StatusOr<int32_t> OpenDispatch::AddParts(const PartSending& sending, const net::FrameLimits& limits,
                                               std::span<const RoutedPair> pairs) {
  rows_of_node_.clear(), pairs_per_row_.clear();
  for (const RoutedPair& pair : pairs) {
    if (rows_of_node_.empty() || rows_of_node_.back() != pair.row) rows_of_node_.push_back(pair.row), pairs_per_row_.push_back(0);
    ++pairs_per_row_.back();
  }
  ATOLL_RETURN_IF_ERROR(net::SplitIntoParts(pairs_per_row_, limits, ranges_));
  for (size_t i = 0; i < ranges_.size(); ++i) {
    const net::PartRange& range = ranges_[i];
    parts_.push_back({.sending = sending,
                      .part = static_cast<uint16_t>(i),
                      .parts = static_cast<uint16_t>(ranges_.size()),
                      .first_row = static_cast<int32_t>(row_ids_.size()),
                      .row_count = static_cast<int32_t>(range.row_count),
                      .first_pair = static_cast<int32_t>(pairs_.size()),
                      .pair_count = static_cast<int32_t>(range.pair_count),
                      .returned = {}});
    AddPairs(pairs, range);
  }
  parts_left_ += static_cast<int32_t>(ranges_.size());
  return static_cast<int32_t>(ranges_.size());
}

void OpenDispatch::AddPairs(std::span<const RoutedPair> pairs, const net::PartRange& range) {
  for (uint32_t row = 0; row < range.row_count; ++row) row_ids_.push_back(rows_of_node_[range.first_row + row]);
  size_t row_of_node = range.first_row;
  for (const RoutedPair& pair : pairs.subspan(range.first_pair, range.pair_count)) {
    while (rows_of_node_[row_of_node] != pair.row) ++row_of_node;
    pairs_.push_back({static_cast<uint16_t>(row_of_node - range.first_row), static_cast<uint16_t>(pair.expert)});
    targets_.push_back(pair.row * dispatch_.experts_per_row + pair.slot);
  }
}

net::FrameHeader OpenDispatch::HeaderOf(const OpenPart& part) const {
  net::FrameHeader header;
  header.type = net::FrameType::kDispatch;
  header.dtype = dispatch_.rows.dtype;
  header.epoch = part.sending.epoch;
  header.attempt = part.sending.attempt;
  header.step = dispatch_.step;
  header.layer = static_cast<uint16_t>(dispatch_.layer);
  header.micro_batch = static_cast<uint16_t>(dispatch_.micro_batch);
  header.trace = trace::ToBytes(dispatch_.span);
  header.part = part.part;
  header.parts = part.parts;
  header.row_count = static_cast<uint32_t>(part.row_count);
  header.pair_count = static_cast<uint32_t>(part.pair_count);
  return header;
}

net::Payload OpenDispatch::PayloadOf(const OpenPart& part) {
  const size_t row_bytes = static_cast<size_t>(dispatch_.rows.cols * DTypeBytes(dispatch_.rows.dtype));
  pieces_.clear();
  for (int32_t i = 0; i < part.row_count; ++i) pieces_.push_back({dispatch_.rows.Row(row_ids_[part.first_row + i]), row_bytes});
  pieces_.push_back(net::PairBytes(std::span<const net::Pair>(pairs_).subspan(part.first_pair, part.pair_count)));
  return pieces_;
}

OpenPart* OpenDispatch::Find(net::Link* link, const net::FrameHeader& header) {
  if (!open_ || header.step != dispatch_.step || header.layer != dispatch_.layer || header.micro_batch != dispatch_.micro_batch) {
    return nullptr;
  }
  for (OpenPart& part : parts_) {
    const bool asked = part.state == PartState::kSent && part.sending.link == link && part.sending.attempt == header.attempt;
    if (asked && part.part == header.part) return &part;
  }
  return nullptr;
}

void OpenDispatch::Accept(OpenPart& part, const net::ResultBody& body) {
  const size_t row_bytes = static_cast<size_t>(dispatch_.results.cols * DTypeBytes(dispatch_.results.dtype));
  if (body.pair_count() != static_cast<uint32_t>(part.pair_count) || body.row_bytes() != row_bytes) {
    return FailPart(part, absl::InternalError(absl::StrCat("an expert node answered ", part.pair_count, " pairs of ", row_bytes, " bytes with ",
                                                           body.pair_count(), " of ", body.row_bytes())));
  }
  for (int32_t i = 0; i < part.pair_count; ++i) {
    std::memcpy(dispatch_.results.Row(targets_[part.first_pair + i]), body.Row(i).data(), row_bytes);
  }
  End(part);
}

void OpenDispatch::ReturnLink(net::Link* link, const PartReturn& why) {
  for (OpenPart& part : parts_) {
    if (part.sending.link != link || part.state == PartState::kEnded) continue;
    if (part.state != PartState::kReturned) ReturnPart(part, why);
    part.sending.link = nullptr;
  }
}

void OpenDispatch::ReturnPart(OpenPart& part, const PartReturn& why) {
  part.state = PartState::kReturned;
  part.returned = why;
}

void OpenDispatch::PairsOf(const OpenPart& part, std::vector<RoutedPair>& pairs) const {
  pairs.clear();
  for (int32_t i = part.first_pair; i < part.first_pair + part.pair_count; ++i) {
    pairs.push_back({targets_[i] / dispatch_.experts_per_row, targets_[i] % dispatch_.experts_per_row, pairs_[i].expert});
  }
}

void OpenDispatch::FailPart(OpenPart& part, const absl::Status& status) {
  for (int32_t i = 0; i < part.row_count; ++i) FailRow(row_ids_[part.first_row + i], status);
  End(part);
}

void OpenDispatch::End(OpenPart& part) {
  part.state = PartState::kEnded;
  --parts_left_;
}

std::span<const FailedRow> OpenDispatch::Take() {
  open_ = false;
  return failed_;
}

}  // namespace atoll::attention_node
