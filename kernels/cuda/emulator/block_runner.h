#pragma once

// Runs the blocks of a grid, one after the other, each thread of a block on a fiber.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/emulator/device_calls.h"
#include "kernels/cuda/emulator/fiber.h"
#include "kernels/cuda/emulator/schedule.h"
#include "kernels/cuda/emulator/shared_memory.h"

namespace atoll::kernels::emulated {

class BlockRunner;

// One thread of the block that runs.
struct BlockThread {
  BlockThread(BlockRunner* owner, uint32_t number);

  enum class State : uint8_t { kRuns, kAtBarrier, kInWarpCall, kReturned };
  struct AsyncCopy {
    void* to;
    const void* from;
    size_t bytes, zeros;
    int64_t group;
  };

  BlockRunner* runner;
  uint32_t index;
  ThreadView view;
  State state = State::kRuns;
  Site site{};                     // of the call it waits in
  WarpCall call{};
  std::vector<AsyncCopy> copies;   // not yet awaited
  int64_t group = 0;               // of the next commit
  Fiber fiber;
};

// Belongs to its stream's thread. Whatever breaks the contract of device_code.h ends the process with one line.
class BlockRunner {
 public:
  void RunGrid(const KernelImage& kernel, const LaunchShape& shape, const void* params, uint64_t schedule, uint64_t turn);

  // The thread whose fiber runs on this OS thread.
  static BlockThread& Running();

  // On a fiber.
  void Await(BlockThread::State state, Site site);
  void* WarpTag(const BlockThread& thread) { return &warp_tags_[thread.index / 32]; }
  void* BlockTag() { return &block_tag_; }
  SharedMemory& shared() { return shared_; }
  [[noreturn]] void Fail(const BlockThread& thread, Site site, const std::string& text) const;

 private:
  friend struct BlockThread;
  void RunThread(BlockThread& thread);
  void RunBlock(Dim3 block, Schedule& order);
  void Prepare(Dim3 block);
  void Advance(BlockThread& thread);
  void Arrive();
  void ReleaseBarrier();
  void JoinWarp(BlockThread& thread);
  void MakeReady(BlockThread& thread);
  uint32_t LanesOfWarp(uint32_t warp) const { return std::min(32u, threads_count_ - 32 * warp); }
  [[noreturn]] void FailStuck() const;

  const KernelImage* kernel_ = nullptr;
  const void* params_ = nullptr;
  LaunchShape shape_;
  uint32_t threads_count_ = 0;
  std::vector<std::unique_ptr<BlockThread>> threads_;   // of the largest block so far
  std::vector<uint32_t> ready_;
  size_t ready_front_ = 0;
  uint32_t at_barrier_ = 0, returned_ = 0;
  uint32_t waiting_in_warp_[kBlockThreads / 32] = {};   // lanes in a warp call
  SharedMemory shared_;
  char block_tag_ = 0, launch_tag_ = 0, return_tag_ = 0;   // addresses that stand for an order (fiber.h)
  char warp_tags_[kBlockThreads / 32] = {};
};

}  // namespace atoll::kernels::emulated
