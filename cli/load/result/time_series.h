#pragma once

// What happened when: a bounded number of equal intervals, which grow as the run does. Thread-compatible.

#include <cstdint>
#include <vector>

#include "cli/load/result/record.h"
#include "cli/load/result/samples.h"

namespace atoll::load {

struct Interval {
  int64_t sent = 0, tokens = 0, in_flight = 0;  // in_flight: the most at once
  int64_t ended[4] = {};                        // by Outcome
  Samples ttft{256}, itl{256};                  // of the first tokens and messages that came within it

  void Merge(const Interval& later);
};

class TimeSeries {
 public:
  static constexpr size_t kIntervalsMax = 240;

  // The interval that holds `now_ns`; valid until the next call.
  Interval& At(int64_t now_ns);
  int64_t width_ns() const { return width_ns_; }
  const std::vector<Interval>& intervals() const { return intervals_; }

 private:
  void Widen();

  int64_t width_ns_ = 250000000;
  std::vector<Interval> intervals_;
};

}  // namespace atoll::load
