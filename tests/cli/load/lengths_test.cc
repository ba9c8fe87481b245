#include "cli/load/plan/lengths.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "cli/load/plan/duration.h"
#include "cli/load/plan/fault_schedule.h"

namespace atoll::load {
namespace {

std::vector<int64_t> Draws(const char* text, int count = 20000) {
  const auto law = LengthLaw::Parse(text, "--output-tokens");
  EXPECT_TRUE(law.ok()) << law.status();
  Random random(1, 1);
  std::vector<int64_t> values;
  for (int i = 0; i < count; ++i) values.push_back(law->Draw(random));
  return values;
}

double Mean(const std::vector<int64_t>& values) {
  double sum = 0;
  for (const int64_t value : values) sum += static_cast<double>(value);
  return sum / static_cast<double>(values.size());
}

TEST(LengthLaw, Fixed) { EXPECT_EQ(Draws("128", 3), (std::vector<int64_t>{128, 128, 128})); }

TEST(LengthLaw, UniformHasBothEnds) {
  const auto values = Draws("3-6");
  EXPECT_EQ(*std::min_element(values.begin(), values.end()), 3);
  EXPECT_EQ(*std::max_element(values.begin(), values.end()), 6);
  EXPECT_NEAR(Mean(values), 4.5, 0.05);
}

TEST(LengthLaw, Moments) {
  EXPECT_NEAR(Mean(Draws("normal:200,20")), 200, 1);
  EXPECT_NEAR(Mean(Draws("exponential:100")), 100, 3);
  auto values = Draws("lognormal:100,0.5");
  std::nth_element(values.begin(), values.begin() + 10000, values.end());
  EXPECT_NEAR(static_cast<double>(values[10000]), 100, 2);  // the median
  EXPECT_NEAR(Mean(Draws("lognormal:100,0.5")), 100 * std::exp(0.125), 3);
}

TEST(LengthLaw, NeverBelowOne) {
  const auto values = Draws("normal:1,50");
  EXPECT_EQ(*std::min_element(values.begin(), values.end()), 1);
}

TEST(LengthLaw, RefusesNonsense) {
  for (const char* text : {"", "0", "-3", "5-3", "1.5", "1-", "x", "128x", "normal:5", "normal:0,1", "normal:5,-1", "lognormal:10,9", "exponential:", "exponential:5,5",
                           "99999999999", "nan", "inf", "1-inf", "normal:nan,1", "1e400"})
    EXPECT_FALSE(LengthLaw::Parse(text, "x").ok()) << text;
}

TEST(Duration, Units) {
  EXPECT_EQ(ParseDurationNs("250us", "x").value(), 250000);
  EXPECT_EQ(ParseDurationNs("500ms", "x").value(), 500 * kNsPerMs);
  EXPECT_EQ(ParseDurationNs("2.5s", "x").value(), 2500 * kNsPerMs);
  EXPECT_EQ(ParseDurationNs("3m", "x").value(), 180 * kNsPerSecond);
  EXPECT_EQ(ParseDurationNs("0s", "x").value(), 0);
  for (const char* text : {"", "5", "s", "-1s", "5 s", "5sec", "nans", "infs", "1e30h", "31000h"}) EXPECT_FALSE(ParseDurationNs(text, "x").ok()) << text;
}

TEST(Duration, Text) {
  EXPECT_EQ(DurationText(840), "0.84 us");
  EXPECT_EQ(DurationText(12.34e6), "12.3 ms");
  EXPECT_EQ(DurationText(4.567e9), "4.57 s");
  EXPECT_EQ(DurationText(123.4e9), "123 s");
}

TEST(FaultSchedule, SortsAndKeepsTheCommand) {
  const auto faults = ParseFaults({"20s kill -9 1", "500ms   echo 'a b'"});
  ASSERT_TRUE(faults.ok());
  EXPECT_EQ((*faults)[0].command, "echo 'a b'");
  EXPECT_EQ((*faults)[0].at_ns, 500 * kNsPerMs);
  EXPECT_EQ((*faults)[1].command, "kill -9 1");
}

TEST(FaultSchedule, RefusesNonsense) {
  for (const char* item : {"10s", "10s ", "", " ls", "soon ls"}) EXPECT_FALSE(ParseFaults({item}).ok()) << item;
  EXPECT_FALSE(ParseFaults(std::vector<std::string>(kFaultsMax + 1, "1s ls")).ok());
}

TEST(FaultSchedule, JoinsTheTwoWords) {
  const char* argv[] = {"load", "--at", "10s", "kill 1", "--at=5s ls", "--at", "3s ls", "--json", "f"};
  EXPECT_EQ(JoinFaultWords(9, argv), (std::vector<std::string>{"load", "--at=10s kill 1", "--at=5s ls", "--at", "3s ls", "--json", "f"}));
  const char* cut[] = {"load", "--at", "10s"};
  EXPECT_EQ(JoinFaultWords(3, cut), (std::vector<std::string>{"load", "--at", "10s"}));
}

}  // namespace
}  // namespace atoll::load
