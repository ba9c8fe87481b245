#pragma once

// Whether a loop still turns, from a number that grows as long as it does. Pure; owned by whoever asks.

#include <cstdint>

namespace atoll::node {

class TurnWatch {
 public:
  explicit TurnWatch(int64_t limit_ns) : limit_ns_(limit_ns) {}

  // True while `turns` has not grown for the limit. Asked now and then; a pause between two questions counts for at most a
  // quarter of the limit, so that a process that was stopped itself is not called stuck when it goes on.
  bool IsStuck(uint64_t turns, int64_t now_ns) {
    const int64_t since_ns = asked_ns_ == 0 ? 0 : now_ns - asked_ns_;
    asked_ns_ = now_ns;
    if (turns != turns_) quiet_ns_ = 0;
    else quiet_ns_ += since_ns < limit_ns_ / 4 ? since_ns : limit_ns_ / 4;
    turns_ = turns;
    return quiet_ns_ >= limit_ns_;
  }

 private:
  const int64_t limit_ns_;
  uint64_t turns_ = 0;
  int64_t asked_ns_ = 0, quiet_ns_ = 0;
};

// A stage of a step takes far less, on any machine and model.
inline constexpr int64_t kStuckAfterNs = 30'000'000'000;

}  // namespace atoll::node
