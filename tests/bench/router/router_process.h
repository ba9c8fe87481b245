#pragma once

// A real router in a process of its own, so that its processor time and memory can be told from the load's.

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace atoll::router {

struct RouterProcess {
  pid_t pid = 0;
  std::string address;
  std::string http_address;
  uint64_t fingerprint = 0;  // of its model

  int64_t ResidentBytes() const;
  // User and system time so far, of all threads, to the nanosecond.
  double CpuSeconds() const;
  void Kill() const;
};

// Serves checkpoints/tales until it is killed. pinned: to CPU 0. To be called before the first thread starts.
RouterProcess StartRouter(bool pinned);

// The calling thread, and those that it starts, run on these CPUs only.
void PinTo(int first_cpu, int last_cpu);

}  // namespace atoll::router
