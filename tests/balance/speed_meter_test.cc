#include "router/balance/speed_meter.h"

#include <gtest/gtest.h>

namespace atoll::router {
namespace {

// `rows` per 10 ms of busy time, 100 times.
void Work(SpeedMeter& meter, const std::string& node, uint64_t rows) {
  for (int i = 0; i < 100; ++i) meter.Add(node, rows, 10000);
}

TEST(SpeedMeter, AThrottledNodeCountsForWhatItDoes) {
  SpeedMeter meter;
  for (const char* id : {"a", "b", "c"}) meter.Join(id, 1);
  Work(meter, "a", 1000), Work(meter, "b", 1000), Work(meter, "c", 250);
  EXPECT_TRUE(meter.Update());
  EXPECT_EQ(meter.SpeedOf("a"), 1);
  EXPECT_NEAR(meter.SpeedOf("c"), 0.25, 1e-9);
  EXPECT_FALSE(meter.Update()) << "nothing new";
}

TEST(SpeedMeter, DeclaredSpeedsThatAreTrueStay) {
  SpeedMeter meter;
  meter.Join("a", 4), meter.Join("b", 1);
  Work(meter, "a", 4000), Work(meter, "b", 1000);
  EXPECT_FALSE(meter.Update());
  EXPECT_EQ(meter.SpeedOf("a"), 4);
}

TEST(SpeedMeter, SmallChangesAreKeptBack) {
  SpeedMeter meter;
  meter.Join("a", 1), meter.Join("b", 1);
  Work(meter, "a", 1000), Work(meter, "b", 900);
  EXPECT_FALSE(meter.Update());
  EXPECT_EQ(meter.SpeedOf("b"), 1);
}

TEST(SpeedMeter, LittleWorkSaysNothing) {
  SpeedMeter meter;
  meter.Join("a", 1), meter.Join("b", 1);
  Work(meter, "a", 1000);
  meter.Add("b", 10, 100000);
  meter.Add("c", 10, 100000);  // has not joined
  EXPECT_FALSE(meter.Update());
}

TEST(SpeedMeter, ANewLifeIsMeasuredAnew) {
  SpeedMeter meter;
  meter.Join("a", 1), meter.Join("b", 1);
  Work(meter, "a", 1000), Work(meter, "b", 100);
  ASSERT_TRUE(meter.Update());
  meter.Join("b", 1);
  EXPECT_EQ(meter.SpeedOf("b"), 1);
}

}  // namespace
}  // namespace atoll::router
