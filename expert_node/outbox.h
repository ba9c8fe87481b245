#pragma once

// Answers that wait for credit, and the finished batches that they point into. Bounded: a batch's memory is free again
// when its last answer is sent or its link is gone, and a node without a free batch runs nothing. Owned by the receiver's
// thread.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/matrix_view.h"
#include "expert_node/expert_batch.h"
#include "kernels/cpu/huge_buffer.h"
#include "net/link.h"

namespace atoll::expert_node {

// A batch and the rows that came out of it.
struct FinishedBatch {
  FinishedBatch(int32_t pairs_max, int32_t experts, int64_t hidden, DType dtype);

  ExpertBatch batch;
  kernels::HugeBuffer memory;
  MatrixView out;  // [pairs_max, hidden]
  int32_t unsent = 0;
};

struct Answer {
  uint64_t link = 0;
  net::FrameHeader header;
  FinishedBatch* batch = nullptr;  // null: no rows
  int32_t first_pair = 0;          // into batch->batch.result_row(); header.pair_count rows from there
};

class Outbox {
 public:
  explicit Outbox(int32_t answers_max) { waiting_.reserve(answers_max); }

  // False when it is full; the answer is then not taken.
  bool Add(const Answer& answer);
  // Sends what credit allows, in order for each link; an answer whose link is not in `links` is dropped.
  void Flush(std::span<net::Link* const> links);

  // Links for which answers still waited after the last Flush.
  std::span<const uint64_t> blocked() const { return blocked_; }
  int32_t waiting() const { return static_cast<int32_t>(waiting_.size()); }

 private:
  // Whether the answer is done with: sent, or never to be sent.
  bool TrySend(const Answer& answer, net::Link* link);

  std::vector<Answer> waiting_;
  std::vector<uint64_t> blocked_;  // links without credit in the present or last Flush
  std::vector<std::span<const std::byte>> pieces_;
};

}  // namespace atoll::expert_node
