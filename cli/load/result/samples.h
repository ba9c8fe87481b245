#pragma once

// A bounded set of durations: exact up to a number of values, then a histogram whose buckets are at most 0.8 % wide.
// Thread-compatible.

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace atoll::load {

class Samples {
 public:
  explicit Samples(size_t exact_max = 8192) : exact_max_(exact_max) {}

  // Negative values count as 0.
  void Add(int64_t ns);
  // All values of `other` as well.
  void Merge(const Samples& other);
  int64_t count() const { return count_; }
  double Mean() const { return count_ ? sum_ / static_cast<double>(count_) : 0; }
  double Deviation() const;
  int64_t Max() const { return max_; }
  // p in [0, 100]. While exact, between the two nearest values in proportion (what numpy does); then the middle of the
  // bucket of the nearest rank. 0 without values.
  double Percentile(double p) const;
  // Share of the values that are at most `ns`.
  double ShareUpTo(int64_t ns) const;
  bool exact() const { return !buckets_; }

 private:
  static constexpr int kStepBits = 7;  // 128 steps per octave
  static constexpr size_t kBuckets = static_cast<size_t>(64 - kStepBits) << kStepBits;
  static size_t BucketOf(uint64_t ns);
  static double Middle(size_t bucket);
  void Fold();
  int64_t Count(size_t bucket) const { return (*buckets_)[bucket]; }

  size_t exact_max_;
  mutable std::vector<int64_t> values_;  // sorted on demand
  mutable bool sorted_ = true;
  std::unique_ptr<std::array<int64_t, kBuckets>> buckets_;
  int64_t count_ = 0, max_ = 0;
  double sum_ = 0, squares_ = 0;
};

}  // namespace atoll::load
