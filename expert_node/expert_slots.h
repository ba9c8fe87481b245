#pragma once

// Equal places for packed experts in one huge-page buffer. Thread-safe.

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "kernels/cpu/huge_buffer.h"

namespace atoll::expert_node {

class ExpertSlots {
 public:
  ExpertSlots(int32_t count, int64_t slot_bytes)
      : count_(count), slot_bytes_(slot_bytes), memory_(static_cast<size_t>(count * slot_bytes)) {
    for (int32_t slot = count - 1; slot >= 0; --slot) free_.push_back(slot);
  }

  int32_t count() const { return count_; }
  std::span<std::byte> Bytes(int32_t slot) const {
    return memory_.span().subspan(static_cast<size_t>(slot * slot_bytes_), static_cast<size_t>(slot_bytes_));
  }

  // Waits up to `timeout` for a free slot.
  std::optional<int32_t> Take(std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    if (!freed_.wait_for(lock, timeout, [&] { return !free_.empty(); })) return std::nullopt;
    const int32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }

  void Free(int32_t slot) {
    {
      std::lock_guard lock(mutex_);
      free_.push_back(slot);
    }
    freed_.notify_one();
  }

 private:
  const int32_t count_;
  const int64_t slot_bytes_;
  kernels::HugeBuffer memory_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<int32_t> free_;  // guarded by mutex_
};

}  // namespace atoll::expert_node
