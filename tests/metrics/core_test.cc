// Counters, histograms and their text form.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "base/metrics/counter.h"
#include "base/metrics/exposition.h"
#include "base/metrics/histogram.h"

namespace atoll::metrics {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kBounds[] = {1'000'000, 10'000'000, 1'000'000'000};

TEST(CounterTest, SumsWhatManyThreadsAdd) {
  Counter counter;
  std::vector<std::thread> threads;
  for (int t = 0; t < 40; ++t) {  // more than shards
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) counter.Add();
      counter.Add(7);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter.Value(), 40u * 1007);
}

TEST(HistogramTest, PutsValuesIntoBucketsWithInclusiveBounds) {
  Histogram histogram(kBounds, 1e9);
  for (const int64_t value : {int64_t{-5}, int64_t{0}, int64_t{1'000'000}, int64_t{1'000'001}, int64_t{1'000'000'000}, int64_t{1'000'000'001}}) histogram.Observe(value);
  const HistogramSnapshot snapshot = histogram.Snapshot();
  EXPECT_THAT(snapshot.upper_bounds, ElementsAre(0.001, 0.01, 1.0));
  EXPECT_THAT(snapshot.counts, ElementsAre(3, 1, 1, 1));
  EXPECT_EQ(snapshot.count(), 6u);
}

TEST(HistogramTest, SumsAreExact) {
  Histogram histogram(kBounds, 1e9);
  for (int i = 0; i < 1'000'000; ++i) histogram.Observe(1);
  histogram.Observe(3, 500'000);
  EXPECT_EQ(histogram.Snapshot().sum, 2'500'000 / 1e9);
  EXPECT_EQ(histogram.Snapshot().count(), 1'500'000u);
}

TEST(HistogramTest, ObservesFromManyThreads) {
  Histogram histogram(kBounds, 1);
  std::vector<std::thread> threads;
  for (int t = 0; t < 24; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) histogram.Observe(t % 2 == 0 ? 5 : 2'000'000'000);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(histogram.Snapshot().counts, ElementsAre(6000, 0, 0, 6000));
  EXPECT_EQ(histogram.Snapshot().sum, 6000.0 * 5 + 6000.0 * 2e9);
}

TEST(HistogramTest, QuantilesLieWithinTheirBucket) {
  Histogram histogram(kBounds, 1e6);  // bounds at 1, 10 and 1,000
  EXPECT_EQ(histogram.Snapshot().Quantile(0.5), 0);
  histogram.Observe(500'000, 50);
  histogram.Observe(5'000'000, 50);
  EXPECT_DOUBLE_EQ(histogram.Snapshot().Quantile(0.25), 0.5);
  EXPECT_DOUBLE_EQ(histogram.Snapshot().Quantile(0.5), 1);
  EXPECT_DOUBLE_EQ(histogram.Snapshot().Quantile(0.75), 5.5);
  EXPECT_DOUBLE_EQ(histogram.Snapshot().Quantile(1), 10);
  histogram.Observe(2'000'000'000, 1000);
  EXPECT_DOUBLE_EQ(histogram.Snapshot().Quantile(0.99), 1000);
}

TEST(FormatTest, FollowsTheAcceptHeader) {
  EXPECT_EQ(FormatFor(""), TextFormat::kPrometheus);
  EXPECT_EQ(FormatFor("*/*"), TextFormat::kPrometheus);
  EXPECT_EQ(FormatFor("text/plain; version=0.0.4"), TextFormat::kPrometheus);
  EXPECT_EQ(FormatFor("application/openmetrics-text"), TextFormat::kOpenMetrics);
  // As Prometheus 2.42 asks.
  EXPECT_EQ(FormatFor("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
            TextFormat::kOpenMetrics);
  EXPECT_EQ(FormatFor("text/plain, application/openmetrics-text;q=0.5"), TextFormat::kPrometheus);
  EXPECT_EQ(FormatFor("application/openmetrics-text;q=0"), TextFormat::kPrometheus);
  EXPECT_EQ(FormatFor("application/openmetrics-text;q=zero"), TextFormat::kPrometheus);
  EXPECT_EQ(FormatFor(";;,,q=,"), TextFormat::kPrometheus);
}

std::string Example(TextFormat format) {
  Exposition out(format);
  out.Begin(Type::kCounter, "atoll_a_total", "Counts a.");
  out.Sample({{"how", "well"}, {"why", "b"}}, 3);
  out.One(Type::kGauge, "atoll_b", "Is b.", -0.25);
  Histogram histogram(kBounds, 1e9);
  histogram.Observe(1);
  histogram.Observe(5'000'000'000);
  out.One(Type::kHistogram, "atoll_c_seconds", "Spreads c.", histogram.Snapshot());
  return std::move(out).Take();
}

TEST(ExpositionTest, IsPrometheusText) {
  EXPECT_EQ(Example(TextFormat::kPrometheus),
            "# HELP atoll_a_total Counts a.\n# TYPE atoll_a_total counter\natoll_a_total{how=\"well\",why=\"b\"} 3\n"
            "# HELP atoll_b Is b.\n# TYPE atoll_b gauge\natoll_b -0.25\n"
            "# HELP atoll_c_seconds Spreads c.\n# TYPE atoll_c_seconds histogram\n"
            "atoll_c_seconds_bucket{le=\"0.001\"} 1\natoll_c_seconds_bucket{le=\"0.01\"} 1\natoll_c_seconds_bucket{le=\"1.0\"} 1\n"
            "atoll_c_seconds_bucket{le=\"+Inf\"} 2\natoll_c_seconds_sum 5.000000001\natoll_c_seconds_count 2\n");
}

TEST(ExpositionTest, IsOpenMetricsText) {
  const std::string text = Example(TextFormat::kOpenMetrics);
  EXPECT_THAT(text, HasSubstr("# TYPE atoll_a counter\natoll_a_total{how=\"well\",why=\"b\"} 3\n"));
  EXPECT_TRUE(text.ends_with("\n# EOF\n"));
}

TEST(ExpositionTest, EscapesWhatOthersChose) {
  Exposition out(TextFormat::kPrometheus);
  out.Begin(Type::kGauge, "atoll_b", "Is b.");
  out.Sample({{"name", "a\"b\\c\nd"}}, 1);
  out.Sample({{"name", std::string_view("\xFFz\xC3", 3)}}, std::numeric_limits<uint64_t>::max());
  EXPECT_THAT(std::move(out).Take(), HasSubstr("atoll_b{name=\"a\\\"b\\\\c\\nd\"} 1\natoll_b{name=\"\xEF\xBF\xBDz\xEF\xBF\xBD\"} 18446744073709551615\n"));
}

TEST(ExpositionTest, WritesNumbersThatAreNone) {
  Exposition out(TextFormat::kPrometheus);
  out.Begin(Type::kGauge, "x", "X.");
  for (const double value : {std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) out.Sample({}, value);
  EXPECT_THAT(std::move(out).Take(), HasSubstr("x +Inf\nx -Inf\nx NaN\n"));
}

}  // namespace
}  // namespace atoll::metrics
