#pragma once

// What every node process does at its start and end: signals, death with its parent, identity.

#include <chrono>
#include <cstdint>
#include <string>

#include "base/status.h"

namespace atoll::node {

// Exit status of a configuration that a server cannot run with (sysexits.h EX_CONFIG).
inline constexpr int kExitConfiguration = 78;

// Blocks SIGTERM, SIGINT and SIGPIPE in this thread and all that it will start, so that only StopSignal sees them. Call
// first in main. One per process.
class StopSignal {
 public:
  StopSignal();
  // True once a stop was asked for by a signal or by Request(); waits up to `timeout` for it.
  bool Wait(std::chrono::milliseconds timeout);
  // Thread-safe: the same as a signal.
  static void Request();
};

// Greater than that of every earlier life on this machine: nanoseconds of the wall clock.
uint64_t NewIncarnation();

std::string HostName();

// One line "listening HOST:PORT" on standard output, flushed.
void AnnounceListening(const std::string& address);

// Logs `status` as the last line on standard error and returns the exit status for it: kExitConfiguration for what a
// changed configuration or checkpoint would cure, 1 for the rest.
int ExitWith(const absl::Status& status);

}  // namespace atoll::node
