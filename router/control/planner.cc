#include "router/control/planner.h"

#include <sys/resource.h>
#include <unistd.h>

#include <utility>

namespace atoll::router {
namespace {

constexpr int kNiceness = 10;

}  // namespace

Planner::Planner(std::function<void(const PlanResult&)> done) : done_(std::move(done)), thread_([this] { Loop(); }) {}

Planner::~Planner() { Stop(); }

void Planner::Submit(PlanJob job) {
  {
    std::lock_guard lock(mutex_);
    next_ = std::move(job);
    interrupt_ = true;
  }
  changed_.notify_all();
}

void Planner::Stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    interrupt_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::optional<PlanJob> Planner::Await() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return stop_ || next_.has_value(); });
  if (stop_) return std::nullopt;
  interrupt_ = false;
  return std::exchange(next_, std::nullopt);
}

void Planner::Loop() {
  // Of this thread alone; a system that forbids it plans at the usual priority.
  (void)setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNiceness);
  while (std::optional<PlanJob> job = Await()) done_(RunPlanJob(*std::move(job), [this] { return interrupt_.load(); }));
}

}  // namespace atoll::router
