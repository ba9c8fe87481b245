#pragma once

// What every node process does at its start and end.

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "base/status.h"

namespace atoll::node {

// Exit status of a configuration that a server cannot run with (sysexits.h EX_CONFIG).
inline constexpr int kExitConfiguration = 78;

// Blocks SIGTERM, SIGINT and SIGPIPE in this thread and in all that it will start, so that Wait is the only one to see
// them: make it first in main. Thread-safe.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  // True once a stop was asked for, by a signal or by Request; waits up to `timeout` for it.
  bool Wait(std::chrono::milliseconds timeout);
  // The process is to end for this reason; the first one counts.
  void Request(const absl::Status& reason);
  // OK after a signal.
  absl::Status reason() const;

 private:
  int signals_ = -1;   // signalfd
  int requests_ = -1;  // eventfd
  mutable std::mutex mutex_;
  bool stopped_ = false;  // guarded by mutex_
  absl::Status reason_;   // guarded by mutex_
};

// Greater than that of every earlier life on this machine: nanoseconds of the wall clock.
uint64_t NewIncarnation();

std::string HostName();
// Bytes of memory that could be taken now without swapping; 0 where the system does not say.
uint64_t AvailableMemoryBytes();

// One line "listening HOST:PORT" on standard output, flushed.
void AnnounceListening(const std::string& address);

// 0 for OK. Otherwise logs `status` and returns kExitConfiguration for what another configuration or checkpoint would cure
// (InvalidArgument, FailedPrecondition, NotFound, OutOfRange, ResourceExhausted, DataLoss), else 1.
int ExitStatusOf(const absl::Status& status);

// The life of a node program after its options were read: `App` is started, announced and kept until a stop is asked for.
// Returns the exit status.
template <typename App, typename AppOptions>
int RunUntilStopped(const AppOptions& options) {
  constexpr auto kHealthInterval = std::chrono::milliseconds(200);
  StopSignal stop;
  absl::StatusOr<std::unique_ptr<App>> app = App::Start(options, stop);
  if (!app.ok()) return ExitStatusOf(app.status());
  AnnounceListening((*app)->address());
  while (!stop.Wait(kHealthInterval)) (*app)->RefreshHealth();
  *app = nullptr;
  return ExitStatusOf(stop.reason());
}

}  // namespace atoll::node
