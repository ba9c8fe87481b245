#pragma once

// One line every few seconds for whoever watches the log: what was done since the last one, and nothing where nothing was.
// Plain code with time passed in; thread-compatible.

#include <cstdint>
#include <optional>
#include <string>

namespace atoll::router {

struct StatusFigures {
  // Sums since the router's start.
  uint64_t prompt_tokens = 0, generated_tokens = 0;
  uint64_t ended = 0, failed = 0, refused = 0;  // requests; cancelled ones are not failed
  // Now.
  int64_t requests_running = 0, sequences_running = 0, sequences_waiting = 0;
  double cache_used = 0;               // fraction of all pages
  std::optional<double> balancedness;  // of the experts' load; nothing where too little was routed to say
};

class StatusLine {
 public:
  // 0: never.
  explicit StatusLine(int64_t interval_ms) : interval_ns_(interval_ms * 1'000'000) {}

  // It is time for Next.
  bool Due(int64_t now_ns) const { return interval_ns_ > 0 && (!said_ns_ || now_ns - *said_ns_ >= interval_ns_); }
  // Empty where nothing runs and nothing has happened since the last call, and in the first call.
  std::string Next(int64_t now_ns, const StatusFigures& figures);

 private:
  const int64_t interval_ns_;
  std::optional<int64_t> said_ns_;
  StatusFigures last_;
};

}  // namespace atoll::router
