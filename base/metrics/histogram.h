#pragma once

// How often values fell into which range. Observed in whole small units (nanoseconds, tokens), so that sums are exact, and
// shown in base units (seconds, tokens). No lock.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace atoll::metrics {

// A plain value.
struct HistogramSnapshot {
  std::vector<double> upper_bounds;  // of the buckets but the last, ascending; a value equal to one is within
  std::vector<uint64_t> counts;      // [upper_bounds + 1] of each bucket alone; the last has what is beyond all bounds
  double sum = 0;

  uint64_t count() const;
  // The value below which the fraction `q` in [0, 1] lies, as if values were spread evenly within a bucket; beyond all bounds
  // the last bound, 0 where nothing was observed.
  double Quantile(double q) const;
};

// Thread-safe.
class Histogram {
 public:
  // upper_bounds: ascending, in what is observed; `scale` of these make one of what is shown.
  Histogram(std::span<const int64_t> upper_bounds, double scale);

  // The value, so many times; what is below 0 counts as 0.
  void Observe(int64_t value, uint64_t times = 1);
  HistogramSnapshot Snapshot() const;

 private:
  const std::vector<int64_t> upper_bounds_;
  const double scale_;
  const size_t stride_;                       // cells of a shard: buckets, the sum, and room up to a cache line's end
  std::vector<std::atomic<uint64_t>> cells_;  // [shards][stride]
};

}  // namespace atoll::metrics
