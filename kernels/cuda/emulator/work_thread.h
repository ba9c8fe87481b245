#pragma once

// A thread that does what it is given, in order.

#include <cstdint>
#include <functional>
#include <thread>

#include "kernels/cuda/emulator/progress.h"

namespace atoll::kernels::emulated {

// Push and Await belong to one thread at a time. What runs is ordered after its Push, and before the end of Await, and not otherwise.
class WorkThread {
 public:
  WorkThread();
  ~WorkThread();   // after all of its work
  WorkThread(const WorkThread&) = delete;

  void Push(std::function<void()> work);
  // Until all that was pushed is done.
  void Await() { done_.AwaitAtLeast(pushed_count_); }

 private:
  struct Item {
    std::function<void()> work;   // empty: the end
    Item* next = nullptr;         // read only after `pushed_` says so
  };
  void Run(Item* first);

  Item* last_;   // pushed
  uint32_t pushed_count_ = 0;
  Progress pushed_, done_;
  std::thread thread_;
};

}  // namespace atoll::kernels::emulated
