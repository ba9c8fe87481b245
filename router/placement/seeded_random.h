#pragma once

// Random numbers that are the same for a seed on every machine and library. Not for secrets.

#include <cmath>
#include <cstdint>

namespace atoll::router {

class SeededRandom {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed) {}

  // SplitMix64 (Steele, Lea, Flood 2014).
  uint64_t Bits() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  // In [0, 1).
  double Uniform() { return static_cast<double>(Bits() >> 11) * 0x1p-53; }
  // In [0, below); `below` at least 1.
  int32_t Below(int32_t below) { return static_cast<int32_t>((Bits() >> 32) * static_cast<uint64_t>(below) >> 32); }
  // Mean 0, variance 1 (Box and Muller, both values used).
  double Gaussian() {
    if (spare_ready_) return spare_ready_ = false, spare_;
    const double radius = std::sqrt(-2 * std::log(1 - Uniform())), angle = 6.283185307179586 * Uniform();
    spare_ready_ = true;
    spare_ = radius * std::sin(angle);
    return radius * std::cos(angle);
  }

 private:
  uint64_t state_;
  double spare_ = 0;
  bool spare_ready_ = false;
};

}  // namespace atoll::router
