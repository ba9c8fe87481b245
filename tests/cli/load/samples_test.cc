#include "cli/load/result/samples.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "cli/load/plan/random.h"
#include "cli/load/result/time_series.h"

namespace atoll::load {
namespace {

TEST(Samples, ExactPercentilesOfSmallSets) {
  Samples samples;
  EXPECT_EQ(samples.Percentile(50), 0);
  samples.Add(30);
  EXPECT_EQ(samples.Percentile(99), 30);
  for (const int64_t value : {10, 50, 20, 40}) samples.Add(value);
  EXPECT_EQ(samples.Percentile(0), 10);
  EXPECT_EQ(samples.Percentile(25), 20);
  EXPECT_EQ(samples.Percentile(50), 30);
  EXPECT_DOUBLE_EQ(samples.Percentile(90), 46);  // numpy.percentile([10, 20, 30, 40, 50], 90)
  EXPECT_EQ(samples.Percentile(100), 50);
  EXPECT_EQ(samples.Mean(), 30);
  EXPECT_NEAR(samples.Deviation(), 14.142135, 1e-6);
  EXPECT_EQ(samples.Max(), 50);
  EXPECT_EQ(samples.ShareUpTo(30), 0.6);
  EXPECT_EQ(samples.ShareUpTo(9), 0);
}

TEST(Samples, AddAfterPercentile) {
  Samples samples;
  samples.Add(5);
  EXPECT_EQ(samples.Percentile(50), 5);
  samples.Add(1);
  EXPECT_EQ(samples.Percentile(0), 1);
}

TEST(Samples, HistogramKeepsWithinItsStep) {
  Samples exact(1 << 20), folded(100);
  Random random(5, 1);
  for (int i = 0; i < 50000; ++i) {
    const auto value = static_cast<int64_t>(1e3 * std::exp(random.Normal() * 4));
    exact.Add(value);
    folded.Add(value);
  }
  EXPECT_TRUE(exact.exact());
  EXPECT_FALSE(folded.exact());
  for (const double p : {0.0, 1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 100.0})
    EXPECT_NEAR(folded.Percentile(p), exact.Percentile(p), std::max(1.0, exact.Percentile(p) * 0.008)) << p;
  EXPECT_EQ(folded.Max(), exact.Max());
  EXPECT_DOUBLE_EQ(folded.Mean(), exact.Mean());
  EXPECT_NEAR(folded.ShareUpTo(1000), exact.ShareUpTo(1000), 0.01);
}

TEST(Samples, ExtremeValuesHaveABucket) {
  Samples samples(0);
  for (const int64_t value : {int64_t{-5}, int64_t{0}, int64_t{127}, int64_t{128}, INT64_MAX}) samples.Add(value);
  EXPECT_EQ(samples.count(), 5);
  EXPECT_EQ(samples.Percentile(0), 0);
  EXPECT_NEAR(samples.Percentile(100), static_cast<double>(INT64_MAX), 0.008 * static_cast<double>(INT64_MAX));
}

TEST(Samples, MergeIsTheSameAsAddingAll) {
  for (const size_t cap : {size_t{2}, size_t{1000}}) {
    Samples a(cap), b(cap), all(cap);
    for (int64_t i = 0; i < 100; ++i) {
      (i % 3 ? a : b).Add(i * i);
      all.Add(i * i);
    }
    a.Merge(b);
    EXPECT_EQ(a.count(), all.count());
    EXPECT_EQ(a.Percentile(50), all.Percentile(50));
    EXPECT_EQ(a.Max(), all.Max());
    EXPECT_DOUBLE_EQ(a.Mean(), all.Mean());
  }
}

TEST(TimeSeries, WidensAndLosesNothing) {
  TimeSeries series;
  for (int64_t second = 0; second < 1000; ++second) {
    Interval& now = series.At(second * 1000000000);
    ++now.sent;
    now.tokens += 10;
    now.in_flight = std::max(now.in_flight, second % 7);
    now.ttft.Add(second);
  }
  EXPECT_LE(series.intervals().size(), TimeSeries::kIntervalsMax);
  EXPECT_GE(series.width_ns() * static_cast<int64_t>(TimeSeries::kIntervalsMax), int64_t{1000} * 1000000000);
  int64_t sent = 0, tokens = 0, in_flight = 0, samples = 0;
  for (const Interval& interval : series.intervals()) {
    sent += interval.sent;
    tokens += interval.tokens;
    samples += interval.ttft.count();
    in_flight = std::max(in_flight, interval.in_flight);
  }
  EXPECT_EQ(sent, 1000);
  EXPECT_EQ(tokens, 10000);
  EXPECT_EQ(samples, 1000);
  EXPECT_EQ(in_flight, 6);
  EXPECT_EQ(series.intervals()[0].sent, series.width_ns() / 1000000000);
}

}  // namespace
}  // namespace atoll::load
