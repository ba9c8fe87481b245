// The status line: every few seconds under load, silence when idle.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "router/metrics/status_line.h"

namespace atoll::router {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

TEST(StatusLineTest, IsDueEveryInterval) {
  StatusLine line(5000);
  EXPECT_TRUE(line.Due(0));
  line.Next(0, {});
  EXPECT_FALSE(line.Due(5 * kSecond - 1));
  EXPECT_TRUE(line.Due(5 * kSecond));
}

TEST(StatusLineTest, IsNeverDueWithoutAnInterval) { EXPECT_FALSE(StatusLine(0).Due(100 * kSecond)); }

TEST(StatusLineTest, SaysWhatWasDoneSinceTheLastOne) {
  StatusLine line(5000);
  EXPECT_EQ(line.Next(0, {.prompt_tokens = 7, .generated_tokens = 9, .balancedness = {}}), "");
  StatusFigures figures{.prompt_tokens = 507, .generated_tokens = 1009, .ended = 3, .requests_running = 8, .sequences_running = 6, .sequences_waiting = 2,
                        .cache_used = 0.125, .balancedness = 0.875};
  EXPECT_EQ(line.Next(5 * kSecond, figures),
            "8 requests; 6 sequences run, 2 wait; prompt 100.0 tokens/s, generated 200.0 tokens/s; 12.5 % of the cache; 3 ended; expert nodes balanced to 0.88");
  figures.ended = 10, figures.failed = 2, figures.refused = 5, figures.balancedness.reset();
  EXPECT_EQ(line.Next(10 * kSecond, figures),
            "8 requests; 6 sequences run, 2 wait; prompt 0.0 tokens/s, generated 0.0 tokens/s; 12.5 % of the cache; 7 ended, 2 failed, 5 refused");
}

TEST(StatusLineTest, IsSilentWhenIdle) {
  StatusLine line(5000);
  const StatusFigures before{.generated_tokens = 1, .balancedness = {}};
  line.Next(0, before);
  const StatusFigures after{.generated_tokens = 2, .ended = 1, .balancedness = {}};
  EXPECT_NE(line.Next(5 * kSecond, after), "");  // something happened, though nothing runs now
  for (int i = 2; i < 5; ++i) EXPECT_EQ(line.Next(5 * i * kSecond, after), "");
  StatusFigures moved = after;
  moved.cache_used = 0.5, moved.sequences_running = 1;  // a probe, for example
  EXPECT_EQ(line.Next(30 * kSecond, moved), "");
}

TEST(StatusLineTest, SpeaksWhileRequestsHangOrAreRefused) {
  StatusLine line(5000);
  line.Next(0, {.balancedness = {}});
  EXPECT_NE(line.Next(5 * kSecond, {.requests_running = 1, .balancedness = {}}), "");
  EXPECT_NE(line.Next(10 * kSecond, {.refused = 1, .balancedness = {}}), "");
}

}  // namespace
}  // namespace atoll::router
