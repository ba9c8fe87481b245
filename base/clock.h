#pragma once

// Time as a parameter: what decides takes `now_ns`, thin shells hold a Clock. Thread-safe.

#include <atomic>
#include <chrono>
#include <cstdint>

namespace atoll {

class Clock {
 public:
  virtual ~Clock() = default;
  // Nanoseconds since an arbitrary start, never going back.
  virtual int64_t NowNs() const = 0;
};

class SteadyClock final : public Clock {
 public:
  int64_t NowNs() const override {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
};

// For tests: time moves only when told to.
class ManualClock final : public Clock {
 public:
  int64_t NowNs() const override { return now_ns_.load(); }
  void AdvanceNs(int64_t ns) { now_ns_.fetch_add(ns); }

 private:
  std::atomic<int64_t> now_ns_{0};
};

}  // namespace atoll
