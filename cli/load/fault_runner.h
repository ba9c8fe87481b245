#pragma once

// Runs the commands of a fault schedule by sh, each in a process group of its own, for a bounded time. Owned by the main
// thread, which calls Poll often.

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "cli/load/plan/fault_schedule.h"
#include "cli/load/result/report.h"

namespace atoll::load {

class FaultRunner {
 public:
  FaultRunner(const std::vector<Fault>& faults, int64_t longest_ns);
  // Ends what still runs.
  ~FaultRunner();
  FaultRunner(const FaultRunner&) = delete;

  // Starts what is due, takes what has ended, ends what runs too long.
  void Poll(int64_t now_ns);
  // When Poll is needed again; INT64_MAX where never.
  int64_t NextPollNs(int64_t now_ns) const;
  // Waits for what runs (its time is bounded), and says of the rest that it was not reached.
  std::vector<FaultResult> Finish(int64_t now_ns);

 private:
  struct Run {
    FaultResult result;
    pid_t pid = -1;
    int output_fd = -1;
    bool started = false, ended = false, forced = false;
  };
  static void Start(Run& run, int64_t now_ns);
  static void TakeOutput(Run& run);
  void TakeEnd(Run& run, int64_t now_ns);

  std::vector<Run> runs_;
  const int64_t longest_ns_;
};

}  // namespace atoll::load
