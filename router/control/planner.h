#pragma once

// The thread that plans, at low priority, so that serving does not wait for it. One job at a time; a newer one interrupts the
// one that runs.

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "router/balance/plan_job.h"

namespace atoll::router {

// Thread-safe. `done` is called on the planner's thread, once per job unless a newer one replaced it before it began.
class Planner {
 public:
  explicit Planner(std::function<void(const PlanResult&)> done);
  ~Planner();  // Stop

  void Submit(PlanJob job);
  // Joins the thread; nothing is done afterwards. Not with a lock that `done` takes.
  void Stop();

 private:
  void Loop();
  std::optional<PlanJob> Await();

  const std::function<void(const PlanResult&)> done_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::optional<PlanJob> next_;
  bool stop_ = false;
  std::atomic<bool> interrupt_{false};
  std::thread thread_;
};

}  // namespace atoll::router
