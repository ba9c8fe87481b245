#include "cli/load/plan/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cli/load/plan/duration.h"

namespace atoll::load {
namespace {

std::vector<int64_t> Take(SendSchedule& schedule, int count) {
  std::vector<int64_t> times;
  for (int i = 0; i < count; ++i) {
    times.push_back(schedule.NextNs().value());
    schedule.Take();
  }
  return times;
}

struct Moments {
  double mean = 0, deviation = 0;
};

Moments Gaps(const std::vector<int64_t>& times) {
  double sum = 0, squares = 0, before = 0;
  for (const int64_t time : times) {
    const double gap = (static_cast<double>(time) - before) / 1e9;
    sum += gap;
    squares += gap * gap;
    before = static_cast<double>(time);
  }
  const double mean = sum / static_cast<double>(times.size());
  return {mean, std::sqrt(squares / static_cast<double>(times.size()) - mean * mean)};
}

TEST(OpenSchedule, PoissonGapsHaveTheirMeanAndAsMuchDeviation) {
  OpenSchedule schedule({.rate = 50, .seed = 3});
  const Moments gaps = Gaps(Take(schedule, 100000));
  EXPECT_NEAR(gaps.mean, 0.02, 0.0003);
  EXPECT_NEAR(gaps.deviation / gaps.mean, 1, 0.02);
}

TEST(OpenSchedule, GammaGapsHaveTheDeviationOfTheirShape) {
  for (const double burstiness : {0.25, 0.5, 4.0}) {
    OpenSchedule schedule({.rate = 10, .burstiness = burstiness, .seed = 4});
    const Moments gaps = Gaps(Take(schedule, 100000));
    EXPECT_NEAR(gaps.mean, 0.1, 0.003) << burstiness;
    EXPECT_NEAR(gaps.deviation / gaps.mean, 1 / std::sqrt(burstiness), 0.04 / std::sqrt(burstiness)) << burstiness;
  }
}

TEST(OpenSchedule, EvenGaps) {
  OpenSchedule schedule({.rate = 4, .burstiness = std::numeric_limits<double>::infinity()});
  EXPECT_EQ(Take(schedule, 4), (std::vector<int64_t>{250000000, 500000000, 750000000, 1000000000}));
}

TEST(OpenSchedule, SameSeedSameTimesOtherSeedOthers) {
  OpenSchedule a({.rate = 5, .seed = 7}), b({.rate = 5, .seed = 7}), c({.rate = 5, .seed = 8});
  const auto times = Take(a, 50);
  EXPECT_EQ(times, Take(b, 50));
  EXPECT_NE(times, Take(c, 50));
}

// From 0 to r within T the n-th of even arrivals is at sqrt(2 n T / r); then they come at r.
TEST(OpenSchedule, RampGrowsEvenly) {
  OpenSchedule schedule({.rate = 10, .burstiness = std::numeric_limits<double>::infinity(), .ramp_from = 0, .ramp_ns = 10 * kNsPerSecond});
  const auto times = Take(schedule, 60);
  for (int n = 1; n <= 50; ++n) EXPECT_NEAR(static_cast<double>(times[static_cast<size_t>(n - 1)]) / 1e9, std::sqrt(2.0 * n), 1e-6) << n;
  EXPECT_NEAR(static_cast<double>(times[59]) / 1e9, 11, 1e-6);
}

TEST(OpenSchedule, RampDown) {
  OpenSchedule schedule({.rate = 1, .burstiness = std::numeric_limits<double>::infinity(), .ramp_from = 9, .ramp_ns = 2 * kNsPerSecond});
  const auto times = Take(schedule, 11);
  EXPECT_NEAR(static_cast<double>(times[9]) / 1e9, 2, 1e-6);  // (9 + 1) / 2 * 2 s = 10 requests
  EXPECT_NEAR(static_cast<double>(times[10]) / 1e9, 3, 1e-6);
}

TEST(OpenSchedule, FlatRampIsNoRamp) {
  OpenSchedule ramp({.rate = 3, .ramp_from = 3, .ramp_ns = 5 * kNsPerSecond, .seed = 1}), flat({.rate = 3, .seed = 1});
  const auto a = Take(ramp, 100), b = Take(flat, 100);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(static_cast<double>(a[i]), static_cast<double>(b[i]), 1000);
}

TEST(ClosedSchedule, UsersWaitForTheirAnswers) {
  ClosedSchedule schedule({.concurrency = 2, .ramp_ns = 10, .think_ns = 3});
  EXPECT_EQ(Take(schedule, 2), (std::vector<int64_t>{0, 5}));
  EXPECT_FALSE(schedule.NextNs());
  schedule.OnEnd(20);
  EXPECT_EQ(schedule.NextNs(), 23);
}

TEST(TraceSchedule, StartsAtZeroInOrderAtItsSpeed) {
  TraceSchedule schedule({500, 100, 300}, 2);
  EXPECT_EQ(Take(schedule, 3), (std::vector<int64_t>{0, 100, 200}));
  EXPECT_FALSE(schedule.NextNs());
}

}  // namespace
}  // namespace atoll::load
