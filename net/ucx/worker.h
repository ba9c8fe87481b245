#pragma once

// A UCX context with one worker, and the wait for it. Who may touch it: whoever holds the lock of the SessionHost that
// owns the transport (UCX's "serialized" mode). In practice the thread that polls the host, a ticker while nobody polls,
// and senders. Only Wait and Wake may be called without that lock, Wait by one thread at a time.

#include <ucp/api/ucp.h>

#include <chrono>
#include <memory>

#include "base/status.h"

namespace atoll::net {

class UcxWorker {
 public:
  // Reads the UCX_* environment (ApplyUcxSettings).
  static absl::StatusOr<std::unique_ptr<UcxWorker>> Create();
  ~UcxWorker();
  UcxWorker(const UcxWorker&) = delete;
  UcxWorker& operator=(const UcxWorker&) = delete;

  ucp_worker_h handle() const { return worker_; }

  // True when something happened. Never inside a UCX callback.
  bool Progress();
  // Before Wait. False: progress again first.
  bool Arm();
  void Wait(std::chrono::nanoseconds timeout);
  void Wake();

 private:
  UcxWorker() = default;
  absl::Status Init();

  ucp_context_h context_ = nullptr;
  ucp_worker_h worker_ = nullptr;
  int event_fd_ = -1;      // UCX's
  int wake_fd_ = -1;       // ours
  int busy_rounds_ = 0;    // Arm refused, Progress did nothing
};

// "what: UCX's text".
absl::Status UcxError(const char* what, ucs_status_t status);

}  // namespace atoll::net
