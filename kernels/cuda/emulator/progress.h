#pragma once

// A number that one thread raises and others wait for. The waiter is ordered after the raiser and nothing else is ordered: the wait is a bare
// system call, so that the thread sanitizer sees no order that CUDA would not give.

#include <atomic>
#include <cstdint>

namespace atoll::kernels::emulated {

// Thread-safe.
class Progress {
 public:
  void RaiseTo(uint32_t value);
  // Returns when the number has come to `value`. Numbers may wrap around.
  void AwaitAtLeast(uint32_t value) const;

 private:
  std::atomic<uint32_t> value_{0};
};

}  // namespace atoll::kernels::emulated
