#pragma once

// The one line that says how a run goes.

#include <cstdint>
#include <string>
#include <utility>

#include "cli/load/result/statistics.h"

namespace atoll::load {

struct ProgressState {
  int64_t now_ns = 0;
  double share_done = 0;  // [0, 1], by requests or by time, whichever is further
  int64_t sent = 0, in_flight = 0;
  Tally tally{};
  double tokens_per_second = 0;  // of late
  double ttft_p50_ns = 0, ttft_p99_ns = 0, itl_p50_ns = 0, itl_p99_ns = 0;
};

// Without a line end, at most `columns` wide. Colours only where they are wanted.
std::string ProgressLine(const ProgressState& state, size_t columns, bool color);

// A rate over about the last second of a counter that only grows.
class RateMeter {
 public:
  double Rate(int64_t now_ns, int64_t count);

 private:
  int64_t since_ns_ = 0, since_count_ = 0;
  double rate_ = 0;
};

}  // namespace atoll::load
