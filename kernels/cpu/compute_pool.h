#pragma once

// The threads of one process that share its kernels' work. Results never depend on how many there are: an op cuts its
// outputs into blocks, each computed by one thread in the op's one order, and the blocks are claimed by whoever is free.

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

#include "kernels/cpu/flush_denormals.h"

namespace atoll::kernels {

// A reference to a callable body(int64_t block, int thread); it allocates nothing and must not outlive the callable.
class BlockBody {
 public:
  template <typename F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, BlockBody>)
  BlockBody(F&& body)
      : object_(const_cast<void*>(static_cast<const void*>(&body))),
        call_([](void* object, int64_t block, int thread) { (*static_cast<std::remove_reference_t<F>*>(object))(block, thread); }) {}
  void operator()(int64_t block, int thread) const { call_(object_, block, thread); }

 private:
  friend class ComputePool;
  using Call = void (*)(void*, int64_t, int);
  BlockBody(void* object, Call call) : object_(object), call_(call) {}
  void* object_;
  Call call_;
};

struct ComputePoolOptions {
  int threads = 0;    // the caller counts as one; 0: a thread per CPU that this process may use
  bool pin = false;   // worker i onto the i-th CPU that this process may use
};

// ParallelFor, BeginStage and EndStage belong to one thread at a time (the step thread, the runner). The calling thread takes
// part as thread 0; one thread means no workers at all.
class ComputePool {
 public:
  explicit ComputePool(const ComputePoolOptions& options);
  ~ComputePool();
  ComputePool(const ComputePool&) = delete;
  ComputePool& operator=(const ComputePool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Pins the calling thread as thread 0. For the thread that will call ParallelFor; threads it starts later inherit this.
  void PinCaller() const;

  // Runs body(block, thread), thread < threads(), once for every block in [0, blocks) and returns when all are done. Denormals
  // are flushed inside. A thread begins with a run of neighbouring blocks, ascending, so that what lies in order in memory is one
  // read stream, and then takes over what others have not begun. Bodies must not throw or call the pool.
  void ParallelFor(int64_t blocks, BlockBody body);

  // Between the two, workers without work spin up to 100 us before they sleep, so that the next op starts at once. EndStage
  // parks them: call it before anything is sent to or awaited from a peer, who may need this CPU.
  void BeginStage();
  void EndStage();

 private:
  struct Job {
    int64_t first, blocks;
    BlockBody body;
  };
  // The blocks of the current job that are meant for one thread and not begun. A claim compares and swaps the whole word, job
  // number included, so it succeeds only while that job has blocks, and then the job's fields below stay until they are done.
  struct alignas(64) Share {
    std::atomic<uint64_t> left{0};
  };

  void RunJob(const Job& job);
  void WorkerLoop(int thread);
  bool AwaitJob(uint32_t seen);
  void RunBlocks(uint32_t job, int thread);
  static bool Claim(Share& share, uint32_t job, bool last, int64_t* block);
  void FinishBlocks(int64_t done);

  std::vector<Share> shares_;             // of each thread
  alignas(64) std::atomic<uint32_t> job_{0};
  std::atomic<int64_t> first_{0}, blocks_{0};
  std::atomic<void*> body_object_{nullptr};
  std::atomic<BlockBody::Call> body_call_{nullptr};
  alignas(64) std::atomic<int64_t> done_{0};
  std::atomic<int> caller_waits_{0};      // 1 while the caller sleeps until the last block is done
  alignas(64) std::atomic<int> wake_{0};  // grows when parked workers should look again
  std::atomic<bool> in_stage_{false};
  std::atomic<bool> stop_{false};
  std::vector<int> cpus_;                 // where to pin thread i; empty: nowhere
  std::vector<std::thread> workers_;
};

}  // namespace atoll::kernels
