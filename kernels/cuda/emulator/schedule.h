#pragma once

// The order in which an emulator takes things that may come in any order: ascending, descending, or drawn from a seed.

#include <algorithm>
#include <cstdint>
#include <vector>

namespace atoll::kernels::emulated {

// Thread-compatible.
class Schedule {
 public:
  // 0: ascending, 1: descending, others: random, another sequence for each `turn`.
  Schedule(uint64_t schedule, uint64_t turn) : schedule_(schedule), state_(schedule * 0x9E3779B97F4A7C15u ^ turn * 0xD1B54A32D192ED03u) {}

  // Takes one out of `waiting`, which is not empty and holds what came first at the front.
  template <typename T>
  T Take(std::vector<T>& waiting, size_t* front) {
    if (schedule_ == 0) return waiting[(*front)++];
    if (schedule_ != 1) std::swap(waiting[*front + Next() % (waiting.size() - *front)], waiting.back());
    const T taken = waiting.back();
    waiting.pop_back();
    return taken;
  }

 private:
  uint64_t Next() {   // splitmix64
    uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
  }

  uint64_t schedule_;
  uint64_t state_;
};

}  // namespace atoll::kernels::emulated
