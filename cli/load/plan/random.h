#pragma once

// Seeded random numbers whose values depend on the seed alone, not on the standard library: the same seed gives the same
// load everywhere. Thread-compatible.

#include <cmath>
#include <cstdint>
#include <numbers>

namespace atoll::load {

class Random {
 public:
  // `stream` separates uses of one seed: the draws of one do not depend on those of another.
  Random(uint64_t seed, uint64_t stream) : state_(Mix(seed) ^ Mix(stream + 0x632be59bd9b4e019)) {}

  uint64_t Next() { return Mix(state_ += 0x9e3779b97f4a7c15); }
  // In (0, 1].
  double Uniform() { return (static_cast<double>(Next() >> 11) + 1) * 0x1p-53; }
  // In [0, n); the bias of at most n / 2^64 is nobody's concern here.
  uint64_t Below(uint64_t n) { return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * n) >> 64); }
  // Mean 1.
  double Exponential() { return -std::log(Uniform()); }
  // Mean 0, deviation 1 (Box and Muller).
  double Normal() { return std::sqrt(-2 * std::log(Uniform())) * std::cos(2 * std::numbers::pi * Uniform()); }

  // Mean and variance `shape` > 0: Marsaglia and Tsang 2000; below 1 through Gamma(shape + 1) * U^(1 / shape).
  double Gamma(double shape) {
    if (shape < 1) {
      const double larger = Gamma(shape + 1);
      return larger * std::pow(Uniform(), 1 / shape);
    }
    const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
    for (;;) {
      const double x = Normal(), v = std::pow(1 + c * x, 3);
      if (v > 0 && std::log(Uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
    }
  }

 private:
  // The finalizer of splitmix64.
  static uint64_t Mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }

  uint64_t state_;
};

}  // namespace atoll::load
