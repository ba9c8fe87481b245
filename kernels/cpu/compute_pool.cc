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
constexpr int64_t kJobBlocksMax = 0xFFFF;

// A share's word: the job, the first block that nobody has begun, and the end of those.
uint64_t ShareWord(uint32_t job, int64_t next, int64_t end) {
  return uint64_t{job} << 32 | static_cast<uint64_t>(next) << 16 | static_cast<uint64_t>(end);
}
uint32_t JobOf(uint64_t share) { return static_cast<uint32_t>(share >> 32); }
int64_t NextOf(uint64_t share) { return static_cast<int64_t>(share >> 16 & 0xFFFF); }
int64_t EndOf(uint64_t share) { return static_cast<int64_t>(share & 0xFFFF); }

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
  shares_ = std::vector<Share>(threads);
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
  for (int64_t first = 0; first < blocks; first += kJobBlocksMax) RunJob({first, std::min(kJobBlocksMax, blocks - first), body});
}

void ComputePool::RunJob(const Job& job) {
  done_.store(0, std::memory_order_relaxed);
  first_.store(job.first, std::memory_order_relaxed);
  blocks_.store(job.blocks, std::memory_order_relaxed);
  body_object_.store(job.body.object_, std::memory_order_relaxed);
  body_call_.store(job.body.call_, std::memory_order_relaxed);
  const uint32_t number = job_.load(std::memory_order_relaxed) + 1;
  for (int thread = 0; thread < threads(); ++thread) {
    const uint64_t word = ShareWord(number, job.blocks * thread / threads(), job.blocks * (thread + 1) / threads());
    shares_[thread].left.store(word, std::memory_order_release);
  }
  job_.store(number);
  wake_.fetch_add(1);
  wake_.notify_all();
  RunBlocks(number, 0);
  const auto all_done = [&] { return done_.load(std::memory_order_acquire) == job.blocks; };
  if (Spin(all_done, [] { return false; })) return;
  while (true) {
    caller_waits_.store(1);
    if (done_.load() == job.blocks) return;
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
    seen = job_.load(std::memory_order_acquire);
    RunBlocks(seen, thread);
  }
}

// Returns true when there is a job after `seen`, false when the pool ends.
bool ComputePool::AwaitJob(uint32_t seen) {
  const auto ready = [&] { return job_.load(std::memory_order_acquire) != seen; };
  const auto give_up = [&] { return !in_stage_.load(std::memory_order_relaxed) || stop_.load(std::memory_order_relaxed); };
  while (true) {
    // Read before the last look at the job, so that a job published after that look changes it and wait() returns.
    const int wake = wake_.load();
    if (Spin(ready, give_up)) return true;
    if (stop_.load()) return false;
    wake_.wait(wake);
  }
}

// Its own share first, in order; then what others have not begun, from their ends on.
void ComputePool::RunBlocks(uint32_t job, int thread) {
  int64_t done = 0, block = 0;
  for (int i = 0; i < threads(); ++i) {
    Share& share = shares_[(thread + i) % threads()];
    for (; Claim(share, job, i > 0, &block); ++done) {
      const BlockBody body(body_object_.load(std::memory_order_relaxed), body_call_.load(std::memory_order_relaxed));
      body(first_.load(std::memory_order_relaxed) + block, thread);
    }
  }
  if (done > 0) FinishBlocks(done);
}

bool ComputePool::Claim(Share& share, uint32_t job, bool last, int64_t* block) {
  uint64_t word = share.left.load(std::memory_order_acquire);
  while (JobOf(word) == job && NextOf(word) < EndOf(word)) {
    const uint64_t rest = last ? ShareWord(job, NextOf(word), EndOf(word) - 1) : ShareWord(job, NextOf(word) + 1, EndOf(word));
    if (!share.left.compare_exchange_weak(word, rest, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
    *block = last ? EndOf(rest) : NextOf(word);
    return true;
  }
  return false;
}

void ComputePool::FinishBlocks(int64_t done) {
  const int64_t blocks = blocks_.load(std::memory_order_relaxed);   // the job lives until its last block is counted
  if (done_.fetch_add(done) + done != blocks) return;
  if (caller_waits_.exchange(2) == 1) caller_waits_.notify_one();
}

}  // namespace atoll::kernels
