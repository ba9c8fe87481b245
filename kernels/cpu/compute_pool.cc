#include "kernels/cpu/compute_pool.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <algorithm>

#include "base/check.h"

namespace atoll::kernels {
namespace {

constexpr int64_t kSpinNs = 100'000;
constexpr int kPausesPerClockRead = 32;
constexpr uint64_t kCountMask = 0xFFFFFFFFu;

uint32_t JobOf(uint64_t claims) { return static_cast<uint32_t>(claims >> 32); }

int64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

// True as soon as `ready` says so; false after kSpinNs, or once `give_up` says so.
template <typename Ready, typename GiveUp>
bool Spin(Ready ready, GiveUp give_up) {
  const int64_t deadline = NowNs() + kSpinNs;
  do {
    for (int i = 0; i < kPausesPerClockRead; ++i) {
      if (ready()) return true;
      _mm_pause();
    }
    if (give_up()) return false;
  } while (NowNs() < deadline);
  return ready();
}

std::vector<int> AllowedCpus() {
  cpu_set_t set;
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return {0};
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

void PinTo(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);   // a refusal costs speed only
}

}  // namespace

ComputePool::ComputePool(const ComputePoolOptions& options) {
  const std::vector<int> allowed = AllowedCpus();
  const int threads = options.threads > 0 ? options.threads : static_cast<int>(allowed.size());
  if (options.pin) cpus_ = allowed;
  workers_.reserve(threads - 1);
  for (int thread = 1; thread < threads; ++thread) workers_.emplace_back([this, thread] { WorkerLoop(thread); });
}

ComputePool::~ComputePool() {
  stop_.store(true);
  wake_.fetch_add(1);
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ComputePool::PinCaller() const {
  if (!cpus_.empty()) PinTo(cpus_[0]);
}

void ComputePool::ParallelFor(int64_t blocks, BlockBody body) {
  if (blocks <= 0) return;
  FlushDenormals flush;
  if (workers_.empty() || blocks == 1) {
    for (int64_t block = 0; block < blocks; ++block) body(block, 0);
    return;
  }
  ATOLL_CHECK(static_cast<uint64_t>(blocks) <= kCountMask, "more blocks than a job can hold");
  done_.store(0, std::memory_order_relaxed);
  blocks_.store(blocks, std::memory_order_relaxed);
  body_object_.store(body.object_, std::memory_order_relaxed);
  body_call_.store(body.call_, std::memory_order_relaxed);
  const uint32_t job = JobOf(claims_.load(std::memory_order_relaxed)) + 1;
  claims_.store(uint64_t{job} << 32 | static_cast<uint64_t>(blocks));
  wake_.fetch_add(1);
  wake_.notify_all();
  RunBlocks(job, 0);
  const auto all_done = [&] { return done_.load(std::memory_order_acquire) == blocks; };
  if (Spin(all_done, [] { return false; })) return;
  while (true) {
    caller_waits_.store(1);
    if (done_.load() == blocks) return;
    caller_waits_.wait(1);
  }
}

void ComputePool::BeginStage() {
  in_stage_.store(true, std::memory_order_relaxed);
  if (workers_.empty()) return;
  wake_.fetch_add(1);
  wake_.notify_all();
}

void ComputePool::EndStage() { in_stage_.store(false, std::memory_order_relaxed); }

void ComputePool::WorkerLoop(int thread) {
  if (!cpus_.empty()) PinTo(cpus_[thread % cpus_.size()]);
  FlushDenormals flush;
  uint32_t seen = 0;
  while (AwaitJob(seen)) {
    seen = JobOf(claims_.load(std::memory_order_acquire));
    RunBlocks(seen, thread);
  }
}

// Returns true when there is a job after `seen`, false when the pool ends.
bool ComputePool::AwaitJob(uint32_t seen) {
  const auto ready = [&] { return JobOf(claims_.load(std::memory_order_acquire)) != seen; };
  const auto give_up = [&] { return !in_stage_.load(std::memory_order_relaxed) || stop_.load(std::memory_order_relaxed); };
  while (true) {
    // Read before the last look at the job, so that a job published after that look changes it and wait() returns.
    const int wake = wake_.load();
    if (Spin(ready, give_up)) return true;
    if (stop_.load()) return false;
    wake_.wait(wake);
  }
}

void ComputePool::RunBlocks(uint32_t job, int thread) {
  uint64_t claims = claims_.load(std::memory_order_acquire);
  while (JobOf(claims) == job && (claims & kCountMask) != 0) {
    const int64_t blocks = blocks_.load(std::memory_order_relaxed);
    const BlockBody body(body_object_.load(std::memory_order_relaxed), body_call_.load(std::memory_order_relaxed));
    if (!claims_.compare_exchange_weak(claims, claims - 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
    body(blocks - static_cast<int64_t>(claims & kCountMask), thread);
    FinishBlock(blocks);
    claims = claims_.load(std::memory_order_acquire);
  }
}

void ComputePool::FinishBlock(int64_t blocks) {
  if (done_.fetch_add(1) + 1 != blocks) return;
  if (caller_waits_.exchange(2) == 1) caller_waits_.notify_one();
}

}  // namespace atoll::kernels
