#pragma once

// One thread for what would hold up gRPC's threads: tokenizing long texts.

#include <functional>
#include <thread>

#include "base/bounded_queue.h"
#include "base/error_info.h"
#include "base/status.h"

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

  // Runs `work`, which handles a text of so many bytes: here, or on the thread where that is long. RESOURCE_EXHAUSTED: it will not run.
  absl::Status RunByLength(size_t text_bytes, std::function<void()> work) {
    if (text_bytes <= kLongTextBytes) {
      work();
    } else if (!TryRun(std::move(work))) {
      return WithErrorInfo(absl::ResourceExhaustedError("too many long texts wait to be tokenized; try again later"),
                           {.reason = "TOO_MANY_LONG_TEXTS", .metadata = {}, .retry_after_ms = 500});
    }
    return absl::OkStatus();
  }

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
