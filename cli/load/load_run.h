#pragma once

// Runs a load test: sends what the schedule says when it says so, and leads what comes back to the ledger.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "cli/load/fault_runner.h"
#include "cli/load/load_target.h"
#include "cli/load/plan/schedule.h"
#include "cli/load/plan/workload.h"
#include "cli/load/progress.h"
#include "cli/load/result/ledger.h"
#include "cli/load/result/statistics.h"

namespace atoll::load {

struct RunLimits {
  int64_t requests_max = INT64_MAX;
  int64_t duration_ns = INT64_MAX;  // nothing meant for later is sent
  int64_t in_flight_max = 4096;
  int64_t hang_ns = 60 * int64_t{1000000000};  // a request that is silent for so long has hung and is given up
  int64_t warmup_ns = 0;                       // requests meant for earlier are not measured
};

// Run is called once, on the main thread; the rest is thread-safe.
class LoadRun final : public LoadListener {
 public:
  struct Parts {
    LoadTarget* target;
    SendSchedule* schedule;
    const Workload* workload;
    FaultRunner* faults;
    const Clock* clock;
  };
  struct Events {
    std::function<void(const RequestRecord&)> on_record;         // every request that has ended, in that order
    std::function<void(const ProgressState&)> on_progress;       // some times a second; on the main thread
  };
  LoadRun(const Parts& parts, const RunLimits& limits, const Slo& slo, Events events);

  // Returns when everything has ended, or soon after `stop` is set: what still runs is then cancelled.
  void Run(const std::atomic<bool>& stop);

  // Of the finished run.
  const Statistics& statistics() const { return statistics_; }
  int64_t wall_ns() const { return wall_ns_; }

  bool OnTokens(uint64_t index, int64_t tokens) override;
  void OnEnd(uint64_t index, const CallEnd& end) override;

 private:
  using Lock = std::unique_lock<std::mutex>;

  int64_t NowNs() const { return parts_.clock->NowNs() - start_ns_; }
  // Each is called with the lock, which SendDue and GiveUp let go of while they call the target.
  void SendDue(Lock& lock);
  bool SendingOver(int64_t now_ns);
  void GiveUp(Lock& lock, const std::vector<uint64_t>& indices, bool hung);
  void CancelRest(Lock& lock);
  void Tick(Lock& lock);
  void Wait(Lock& lock);
  ProgressState Progress(int64_t now_ns);

  const Parts parts_;
  const RunLimits limits_;
  const Events events_;
  const int64_t start_ns_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Statistics statistics_;  // guarded by mutex_, as all below
  Ledger ledger_;
  std::unordered_map<uint64_t, int64_t> cancel_after_;  // tokens after which this client goes away
  int64_t sent_ = 0, wall_ns_ = 0, next_tick_ns_ = 0;
  bool sending_over_ = false;
  RateMeter token_rate_;
};

}  // namespace atoll::load
