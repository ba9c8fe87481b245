#include "cli/load/result/time_series.h"

#include <algorithm>

namespace atoll::load {

void Interval::Merge(const Interval& later) {
  sent += later.sent;
  tokens += later.tokens;
  in_flight = std::max(in_flight, later.in_flight);
  for (const Outcome outcome : kOutcomes) ended[static_cast<size_t>(outcome)] += later.ended[static_cast<size_t>(outcome)];
  ttft.Merge(later.ttft);
  itl.Merge(later.itl);
}

Interval& TimeSeries::At(int64_t now_ns) {
  now_ns = std::max<int64_t>(now_ns, 0);
  while (static_cast<size_t>(now_ns / width_ns_) >= kIntervalsMax) Widen();
  const auto index = static_cast<size_t>(now_ns / width_ns_);
  if (index >= intervals_.size()) intervals_.resize(index + 1);
  return intervals_[index];
}

void TimeSeries::Widen() {
  width_ns_ *= 2;
  for (size_t i = 0; i < intervals_.size(); ++i) {
    if (i % 2) intervals_[i / 2].Merge(intervals_[i]);
    else if (i) intervals_[i / 2] = std::move(intervals_[i]);
  }
  intervals_.resize((intervals_.size() + 1) / 2);
}

}  // namespace atoll::load
