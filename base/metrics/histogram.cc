#include "base/metrics/histogram.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/metrics/counter.h"

namespace atoll::metrics {
namespace {

constexpr size_t kCellsPerLine = 64 / sizeof(uint64_t);

}  // namespace

uint64_t HistogramSnapshot::count() const { return std::accumulate(counts.begin(), counts.end(), uint64_t{0}); }

double HistogramSnapshot::Quantile(double q) const {
  const double rank = q * static_cast<double>(count());
  double below = 0;
  for (size_t i = 0; i < upper_bounds.size(); ++i) {
    const auto here = static_cast<double>(counts[i]);
    if (here > 0 && below + here >= rank) {
      const double lower = i == 0 ? 0 : upper_bounds[i - 1];
      return lower + (upper_bounds[i] - lower) * std::max(0.0, rank - below) / here;
    }
    below += here;
  }
  return count() == 0 || upper_bounds.empty() ? 0 : upper_bounds.back();
}

Histogram::Histogram(std::span<const int64_t> upper_bounds, double scale)
    : upper_bounds_(upper_bounds.begin(), upper_bounds.end()),
      scale_(scale),
      stride_((upper_bounds.size() + 2 + kCellsPerLine - 1) / kCellsPerLine * kCellsPerLine),
      cells_(kShards * stride_) {}

void Histogram::Observe(int64_t value, uint64_t times) {
  value = std::max<int64_t>(value, 0);
  const auto bucket = std::lower_bound(upper_bounds_.begin(), upper_bounds_.end(), value) - upper_bounds_.begin();
  std::atomic<uint64_t>* const shard = &cells_[ShardOfThisThread() * stride_];
  shard[bucket].fetch_add(times, std::memory_order_relaxed);
  shard[upper_bounds_.size() + 1].fetch_add(static_cast<uint64_t>(value) * times, std::memory_order_relaxed);
}

HistogramSnapshot Histogram::Snapshot() const {
  HistogramSnapshot snapshot;
  for (const int64_t bound : upper_bounds_) snapshot.upper_bounds.push_back(static_cast<double>(bound) / scale_);
  snapshot.counts.resize(upper_bounds_.size() + 1);
  uint64_t sum = 0;
  for (size_t shard = 0; shard < kShards; ++shard) {
    const std::atomic<uint64_t>* const cells = &cells_[shard * stride_];
    for (size_t i = 0; i < snapshot.counts.size(); ++i) snapshot.counts[i] += cells[i].load(std::memory_order_relaxed);
    sum += cells[snapshot.counts.size()].load(std::memory_order_relaxed);
  }
  snapshot.sum = static_cast<double>(sum) / scale_;
  return snapshot;
}

}  // namespace atoll::metrics
