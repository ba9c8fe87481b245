#pragma once

// One thread for what would hold up gRPC's threads: tokenizing long texts.

#include <functional>
#include <thread>

#include "base/bounded_queue.h"

namespace atoll::router {

inline constexpr size_t kLongTextBytes = 8 << 10;  // about a millisecond of tokenizing
inline constexpr size_t kWorkQueuedMax = 256;

// Thread-safe. Stops, after what is queued, on destruction.
class Worker {
 public:
  Worker() : queue_(kWorkQueuedMax), thread_([this] { Run(); }) {}
  ~Worker() {
    queue_.Close();
    thread_.join();
  }

  // False when too much is queued: `work` will not run.
  [[nodiscard]] bool TryRun(std::function<void()> work) { return queue_.TryPush(std::move(work)); }

 private:
  void Run() {
    while (true) {
      auto work = queue_.Pop(std::chrono::hours(1));
      if (work) {
        (*work)();
      } else if (queue_.closed()) {
        return;
      }
    }
  }

  BoundedQueue<std::function<void()>> queue_;
  std::thread thread_;
};

}  // namespace atoll::router
