#pragma once

// Credits of one direction of a session, in sequence numbers: the receiver says up to which number it accepts. Numbers
// heal themselves: a frame that was lost (in-memory faults) is passed over by the next heartbeat, and its credit returns.
// Pure.

#include <algorithm>
#include <cstdint>

namespace atoll::net {

class SendCredit {
 public:
  explicit SendCredit(uint32_t window) : window_(window) {}
  bool HasCredit() const { return next_ <= granted_; }
  uint64_t Take() { return next_++; }
  // A peer that grants more than the agreed window gets no more out of us.
  void OnGranted(uint64_t granted) { granted_ = std::max(granted_, std::min(granted, next_ - 1 + window_)); }

 private:
  uint64_t window_;
  uint64_t next_ = 1;
  uint64_t granted_ = 0;
};

class ReceiveCredit {
 public:
  enum class Verdict { kAccept, kRepeated, kOverrun };

  explicit ReceiveCredit(uint32_t window) : window_(window) {}

  // Heartbeats and what closes a session need no credit; all frames share one numbering.
  Verdict OnFrame(uint64_t sequence, bool needs_credit) {
    if (sequence <= highest_) return Verdict::kRepeated;
    if (needs_credit && sequence > advertised_) return Verdict::kOverrun;
    highest_ = sequence;
    if (needs_credit) ++undelivered_;
    return Verdict::kAccept;
  }
  void OnDelivered() { --undelivered_; }
  // What the next header says.
  uint64_t Advertise() { return advertised_ = std::max(advertised_, Grant()); }
  // Half a window went unsaid: worth a heartbeat of its own.
  bool IsOverdue() const { return Grant() >= advertised_ + std::max<uint64_t>(1, window_ / 2); }

 private:
  uint64_t Grant() const { return highest_ + window_ - undelivered_; }

  uint64_t window_;
  uint64_t highest_ = 0;
  uint64_t undelivered_ = 0;
  uint64_t advertised_ = 0;
};

}  // namespace atoll::net
