#pragma once

#include <chrono>
#include <functional>
#include <thread>

namespace atoll {

// Waits for something that happens on another thread: up to ten seconds, in steps of a millisecond.
inline bool WaitFor(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace atoll
