#pragma once

// What other threads want of the step thread: new sequences, cancels, streams that ended. Bounded: it refuses sequences
// over `waiting_max`, and a cancel is kept only for a sequence that lives, once. Thread-safe.

#include <cstdint>
#include <mutex>
#include <set>
#include <span>
#include <vector>

#include "attention_node/sequence_request.h"
#include "base/status.h"

namespace atoll::attention_node {

class Mailbox {
 public:
  explicit Mailbox(int32_t waiting_max) : waiting_max_(waiting_max) {}

  // ResourceExhausted over the bound, AlreadyExists for a key that lives.
  absl::Status Submit(SequenceRequest request);
  void Cancel(SequenceKey key);
  void CancelStream(uint64_t stream);

  struct Mail {
    std::vector<SequenceRequest> submitted;  // in order
    std::set<SequenceKey> cancelled;         // some may still be in `submitted`
    std::set<SequenceKey> abandoned;         // cancelled, and nobody wants to hear of it

    bool empty() const { return submitted.empty() && cancelled.empty() && abandoned.empty(); }
  };
  // Step thread: takes all there is. What was submitted counts as waiting until SetWaiting.
  Mail Take();
  // Step thread: sequences that ended in this step, and how many wait now.
  void Settle(std::span<const SequenceKey> ended, int32_t waiting);

  int32_t waiting() const;

 private:
  const int32_t waiting_max_;
  mutable std::mutex mutex_;
  Mail mail_;                    // guarded by mutex_
  std::set<SequenceKey> live_;   // guarded by mutex_: submitted and not ended
  int32_t waiting_ = 0;          // guarded by mutex_: taken, but not running
};

}  // namespace atoll::attention_node
