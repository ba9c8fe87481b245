#pragma once

// A number that only grows, added to from many threads at once: each adds to a cache line that few others share, whoever
// reads sums them. No lock.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace atoll::metrics {

inline constexpr size_t kShards = 16;

// Which of the shards the calling thread adds to; dealt out in turn.
inline size_t ShardOfThisThread() {
  static std::atomic<size_t> next{0};
  static thread_local const size_t shard = next.fetch_add(1, std::memory_order_relaxed) % kShards;
  return shard;
}

// Thread-safe.
class Counter {
 public:
  void Add(uint64_t more = 1) { shards_[ShardOfThisThread()].value.fetch_add(more, std::memory_order_relaxed); }
  uint64_t Value() const {
    uint64_t sum = 0;
    for (const Shard& shard : shards_) sum += shard.value.load(std::memory_order_relaxed);
    return sum;
  }

 private:
  struct alignas(64) Shard {
    std::atomic<uint64_t> value{0};
  };
  std::array<Shard, kShards> shards_;
};

}  // namespace atoll::metrics
