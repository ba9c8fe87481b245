#include "cli/load/result/samples.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace atoll::load {

// Values below 2^kStepBits have a bucket each; above, the octave and its next kStepBits bits.
size_t Samples::BucketOf(uint64_t ns) {
  if (ns < (uint64_t{1} << kStepBits)) return ns;
  const int shift = std::bit_width(ns) - 1 - kStepBits;
  return (static_cast<size_t>(shift + 1) << kStepBits) + static_cast<size_t>((ns >> shift) - (uint64_t{1} << kStepBits));
}

double Samples::Middle(size_t bucket) {
  const size_t octave = bucket >> kStepBits;
  if (octave == 0) return static_cast<double>(bucket);
  const double step = std::ldexp(1.0, static_cast<int>(octave) - 1);
  const auto first = static_cast<double>((bucket & ((size_t{1} << kStepBits) - 1)) + (size_t{1} << kStepBits)) * step;
  return first + (step - 1) / 2;
}

void Samples::Add(int64_t ns) {
  ns = std::max<int64_t>(ns, 0);
  ++count_;
  max_ = std::max(max_, ns);
  sum_ += static_cast<double>(ns);
  squares_ += static_cast<double>(ns) * static_cast<double>(ns);
  if (!buckets_ && values_.size() >= exact_max_) Fold();
  if (buckets_) {
    ++(*buckets_)[BucketOf(static_cast<uint64_t>(ns))];
  } else {
    sorted_ = sorted_ && (values_.empty() || values_.back() <= ns);
    values_.push_back(ns);
  }
}

void Samples::Merge(const Samples& other) {
  if (!other.buckets_) {
    for (const int64_t ns : other.values_) Add(ns);
    return;
  }
  if (!buckets_) Fold();
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) (*buckets_)[bucket] += other.Count(bucket);
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
  sum_ += other.sum_;
  squares_ += other.squares_;
}

void Samples::Fold() {
  buckets_ = std::make_unique<std::array<int64_t, kBuckets>>();
  for (const int64_t ns : values_) ++(*buckets_)[BucketOf(static_cast<uint64_t>(ns))];
  values_ = {};
}

double Samples::Deviation() const {
  if (count_ < 2) return 0;
  const double mean = Mean();
  return std::sqrt(std::max(0.0, squares_ / static_cast<double>(count_) - mean * mean));
}

double Samples::Percentile(double p) const {
  if (count_ == 0) return 0;
  const double rank = p / 100 * static_cast<double>(count_ - 1);
  if (!buckets_) {
    if (!sorted_) std::sort(values_.begin(), values_.end());
    sorted_ = true;
    const auto below = static_cast<size_t>(rank);
    const auto low = static_cast<double>(values_[below]), high = static_cast<double>(values_[std::min(below + 1, values_.size() - 1)]);
    return low + (high - low) * (rank - static_cast<double>(below));
  }
  int64_t left = std::llround(rank);
  for (size_t bucket = 0; bucket < kBuckets; ++bucket)
    if ((left -= Count(bucket)) < 0) return std::min(Middle(bucket), static_cast<double>(max_));
  return static_cast<double>(max_);
}

double Samples::ShareUpTo(int64_t ns) const {
  if (count_ == 0) return 0;
  int64_t below = 0;
  if (!buckets_) {
    below = std::count_if(values_.begin(), values_.end(), [&](int64_t value) { return value <= ns; });
  } else if (ns >= 0) {
    for (size_t bucket = 0; bucket <= BucketOf(static_cast<uint64_t>(ns)); ++bucket) below += Count(bucket);
  }
  return static_cast<double>(below) / static_cast<double>(count_);
}

}  // namespace atoll::load
