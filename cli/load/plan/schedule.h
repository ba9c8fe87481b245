#pragma once

// When requests are meant to be sent. All times are nanoseconds since the run's start. What is measured is measured from
// these times, not from when the client came to send: a stalled server must not hide the requests that it kept waiting.
// Thread-compatible.

#include <cstdint>
#include <memory>
#include <optional>
#include <queue>
#include <vector>

#include "cli/load/plan/random.h"

namespace atoll::load {

class SendSchedule {
 public:
  virtual ~SendSchedule() = default;
  // Intended time of the next request; nothing while there is none (for a closed loop: until one ends).
  virtual std::optional<int64_t> NextNs() = 0;
  // The next request has been sent.
  virtual void Take() = 0;
  // A request has ended.
  virtual void OnEnd(int64_t now_ns) = 0;
};

struct OpenLoop {
  double rate = 1;             // requests per second, > 0
  double burstiness = 1;       // shape of the gamma law of the gaps: 1 is Poisson, below 1 burstier, infinity even gaps
  double ramp_from = 0;        // requests per second at the start of the ramp
  int64_t ramp_ns = 0;         // the rate grows evenly to `rate` within this time
  uint64_t seed = 0;
};

// Sends whether or not anything comes back.
class OpenSchedule final : public SendSchedule {
 public:
  explicit OpenSchedule(const OpenLoop& loop);
  std::optional<int64_t> NextNs() override { return next_ns_; }
  void Take() override { Advance(); }
  void OnEnd(int64_t) override {}

 private:
  void Advance();
  double SecondsAt(double expected) const;

  const OpenLoop loop_;
  Random random_;
  double expected_ = 0;  // requests expected until the next one: gaps of mean 1, stretched by the rate over time
  int64_t next_ns_ = 0;
};

struct ClosedLoop {
  int64_t concurrency = 1;
  int64_t ramp_ns = 0;   // the users start evenly within this time
  int64_t think_ns = 0;  // between a user's answer and its next request
};

// So many users, each of whom waits for its answer.
class ClosedSchedule final : public SendSchedule {
 public:
  explicit ClosedSchedule(const ClosedLoop& loop);
  std::optional<int64_t> NextNs() override;
  void Take() override { free_ns_.pop(); }
  void OnEnd(int64_t now_ns) override { free_ns_.push(now_ns + think_ns_); }

 private:
  std::priority_queue<int64_t, std::vector<int64_t>, std::greater<>> free_ns_;
  const int64_t think_ns_;
};

// Given times, in any order.
class TraceSchedule final : public SendSchedule {
 public:
  // The first is at 0; `speed` 2 replays in half the time.
  TraceSchedule(std::vector<int64_t> times_ns, double speed);
  std::optional<int64_t> NextNs() override;
  void Take() override { ++next_; }
  void OnEnd(int64_t) override {}

 private:
  std::vector<int64_t> times_ns_;
  size_t next_ = 0;
};

}  // namespace atoll::load
