#pragma once

// Received parts of dispatches and the memory they lie in. All of it is sized at start; owned by the receiver's thread.

#include <cstdint>
#include <vector>

#include "base/matrix_view.h"
#include "kernels/cpu/huge_buffer.h"
#include "net/body.h"
#include "net/wire_format.h"

namespace atoll::expert_node {

// One part of a dispatch, received and not yet answered.
struct DispatchPart {
  uint64_t link = 0;         // net::Link::id of who wants the answer
  net::FrameHeader header;
  int64_t arrived_ns = 0;
  int32_t first_row = 0;     // of PartStore::rows()
  std::vector<net::Pair> pairs;
};

// A fixed number of parts, each with a place for the most rows that a part may have. The last freed is the next taken, so
// that memory which no burst ever reached is never touched.
class PartStore {
 public:
  PartStore(int32_t parts, const net::FrameLimits& limits);

  // Index of a free part, its rows and pairs copied in; -1 when all are taken.
  int32_t Take(const net::DispatchBody& body);
  void Free(int32_t part) { free_.push_back(part); }

  DispatchPart& At(int32_t part) { return parts_[part]; }
  const DispatchPart& At(int32_t part) const { return parts_[part]; }
  // The rows of all parts as one matrix: what the kernels read, without another copy.
  ConstMatrixView rows() const { return rows_; }
  int32_t free() const { return static_cast<int32_t>(free_.size()); }
  int32_t size() const { return static_cast<int32_t>(parts_.size()); }

 private:
  const int64_t part_rows_;
  kernels::HugeBuffer memory_;
  MatrixView rows_;  // [parts * part_rows, hidden]
  std::vector<DispatchPart> parts_;
  std::vector<int32_t> free_;
};

}  // namespace atoll::expert_node
