#include "kernels/cuda/emulator/progress.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

namespace atoll::kernels::emulated {

void Progress::RaiseTo(uint32_t value) {
  value_.store(value, std::memory_order_release);
  syscall(SYS_futex, &value_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

void Progress::AwaitAtLeast(uint32_t value) const {
  while (true) {
    const uint32_t now = value_.load(std::memory_order_acquire);
    if (static_cast<int32_t>(now - value) >= 0) return;
    syscall(SYS_futex, &value_, FUTEX_WAIT_PRIVATE, now, nullptr, nullptr, 0);
  }
}

}  // namespace atoll::kernels::emulated
